import shutil
import subprocess
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import highdicom
import mne
import numpy as np
import orjson
import pytest
from edfio import read_edf
from fhir.resources.R4B import get_fhir_model_class
from pydicom import dcmread
from pydicom.uid import CTImageStorage

from clinic_mm.simulate import ct, eeg, oracle, xray
from clinic_mm.simulate.case import make_case
from clinic_mm.simulate.dicom_header import Sibling, encode, header, set_pixels
from clinic_mm.simulate.latent import World
from tests.simulate.conftest import CASES, Cohort

ENOUGH = 60
"""Cases whose files an oracle reads."""


def latent(cohort: Cohort, modality: str) -> np.ndarray:
    return np.array([float(row[f"e_{modality}"]) for row in cohort.truth])


@pytest.mark.parametrize("modality", ["ct", "xray", "eeg"])
def test_the_oracle_gets_the_latent_back_from_the_files(complete: Cohort, modality: str) -> None:
    read = getattr(oracle, modality)
    estimate = [read(complete.out, row) for row in complete.truth[:ENOUGH]]
    assert np.corrcoef(estimate, latent(complete, modality)[:ENOUGH])[0, 1] >= 0.95


def test_the_oracle_gets_the_latent_back_from_the_record(complete: Cohort) -> None:
    by_patient = oracle.resources(complete.out, "Observation", complete.decided())
    estimate = [oracle.record(by_patient[row["patient_id"]]) for row in complete.truth]
    assert np.corrcoef(estimate, latent(complete, "record"))[0, 1] >= 0.95


def test_a_note_tells_its_level_and_no_more(complete: Cohort) -> None:
    by_patient = oracle.resources(complete.out, "DocumentReference", complete.decided())
    for row in complete.truth:
        assert oracle.note(by_patient[row["patient_id"]][0]) == int(row["note_level"])


@pytest.mark.parametrize("render", [ct.render, xray.render, eeg.render], ids=["ct", "xray", "eeg"])
def test_nothing_trivial_of_the_whole_gives_the_answer_away(render: Callable[..., Any]) -> None:
    rng = np.random.default_rng(0)
    v = rng.standard_normal(160)
    signals = [render(value, np.random.default_rng(i))[0] for i, value in enumerate(v)]
    for trivial in (np.mean, np.std, np.max, np.min, np.median if render is not eeg.render else np.mean):
        feature = np.array([trivial(signal) for signal in signals])
        spread = feature.std()
        r = 0.0 if spread < 1e-6 else np.corrcoef(feature, v)[0, 1]
        assert abs(r) < 0.45, trivial.__name__  # an oracle has 0.95 and more; chance alone reaches 0.25


def test_a_ct_series_has_one_true_geometry(complete: Cohort) -> None:
    folder = complete.out / complete.truth[0]["ct_folder"]
    slices = [dcmread(path) for path in folder.iterdir()]
    volume = highdicom.get_volume_from_series(slices)
    assert volume.spatial_shape == ct.SHAPE
    np.testing.assert_allclose(volume.spacing, ct.SPACING_MM)
    hu = volume.array if volume.array.min() < 0 else volume.array + ct.INTERCEPT
    assert abs(np.median(hu[:, :4, :4]) - ct.AIR_HU) < 20
    assert len({s.SOPInstanceUID for s in slices}) == ct.SHAPE[0]


def test_slices_that_are_spliced_are_what_pydicom_writes() -> None:
    case = make_case(World(), seed=0, number=0)
    ds = header(case, "CT", CTImageStorage, case.decision_time, occasion="1")
    sibling = None
    for k, position in enumerate((-141.0, 3.0)):
        ds.SOPInstanceUID = f"1.2.{k}"
        ds.InstanceNumber = 9 + k
        ds.ImagePositionPatient = [0.0, -1.5, position]
        ds.SliceLocation = position
        set_pixels(ds, np.full((4, 6), 5 + k, dtype=np.int16), bits=16)
        sibling = sibling or Sibling(ds, ct.CHANGING)
        assert sibling.encode(ds) == encode(ds)


def test_the_radiograph_is_twelve_bits_with_a_window(complete: Cohort) -> None:
    ds = dcmread(complete.out / complete.truth[0]["xray_file"])
    assert (ds.Modality, ds.PhotometricInterpretation, ds.BitsStored) == ("CR", "MONOCHROME2", 12)
    assert ds.pixel_array.max() < 4096
    assert ds.ViewPosition in {"PA", "AP"}
    assert ds.WindowWidth > 0


def test_dcmtk_reads_every_kind_of_file(complete: Cohort) -> None:
    dcmdump = shutil.which("dcmdump")
    if not dcmdump:
        pytest.skip("no dcmdump: apt-get install dcmtk")
    row = complete.truth[1]
    paths = [complete.out / row["xray_file"], *islice((complete.out / row["ct_folder"]).iterdir(), 3)]
    done = subprocess.run([dcmdump, "-q", *map(str, paths)], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_an_eeg_opens_in_mne_and_edfio(complete: Cohort) -> None:
    row = complete.truth[0]
    path = complete.out / row["eeg_file"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        raw = mne.io.read_raw_edf(path, preload=True, verbose="error")
    assert raw.info["sfreq"] == eeg.SFREQ_HZ
    assert raw.get_data().shape == (19, eeg.SFREQ_HZ * eeg.DURATION_S)
    assert 5e-6 < raw.get_data().std() < 100e-6
    edf = read_edf(path)
    assert edf.patient.code == row["patient_id"]
    assert datetime.combine(edf.recording.startdate, edf.starttime, UTC) < complete.decided()[row["patient_id"]]


@pytest.mark.parametrize("kind", ["Patient", "Observation", "DocumentReference"])
def test_resources_are_fhir_r4b_and_say_that_they_are_simulated(complete: Cohort, kind: str) -> None:
    lines = (complete.out / "fhir" / f"{kind}.000.ndjson").read_bytes().splitlines()
    ids = [orjson.loads(line)["id"] for line in lines]
    assert len(ids) == len(set(ids))
    for line in lines[:: max(1, len(lines) // 20)]:
        resource = get_fhir_model_class(kind).model_validate_json(line)
        assert resource.meta.tag[0].code == "SIMULATED"


def test_one_patient_has_one_id_everywhere_and_no_file_name_tells_it(complete: Cohort) -> None:
    fhir = {
        orjson.loads(line)["id"] for line in (complete.out / "fhir" / "Patient.000.ndjson").read_bytes().splitlines()
    }
    assert fhir == set(complete.labels)
    for row in complete.truth[:10]:
        first = next((complete.out / row["ct_folder"]).iterdir())
        for path in (first, complete.out / row["xray_file"]):
            ds = dcmread(path, stop_before_pixels=True)
            assert (ds.PatientID, str(ds.PatientName)) == (row["patient_id"], "SIMULATED^CASE")
    names = [path.relative_to(complete.out).as_posix() for path in complete.out.rglob("*")]
    assert not any("SIM-" in name for name in names)
    assert len(names) > CASES * 50


def test_evidence_is_from_before_the_decision_but_for_those_flagged(complete: Cohort) -> None:
    decided = complete.decided()
    for path in (*(complete.out / "dicom").glob("*/*/R*"), *(complete.out / "dicom").glob("*/*/S*/A/IM0000*")):
        ds = dcmread(path, stop_before_pixels=True)
        at = datetime.strptime(ds.AcquisitionDate + ds.AcquisitionTime, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        assert (at > decided[ds.PatientID]) == ("2" in path.relative_to(complete.out / "dicom").parts[2])
    assert {row["late_modality"] for row in complete.truth} == {"", "ct", "xray", "eeg", "record", "note"}
