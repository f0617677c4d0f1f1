"""Real files, one modality at a time: each is answered, or refused with the reason that is true of it.

The model knows made-up signals only: what it answers means nothing, that it answers is the point.
"""

from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from clinic_mm.cohort.ingest import ingest
from clinic_mm.fusion.pool import LogPool
from clinic_mm.jobs.asked import ScreenOptions
from clinic_mm.jobs.screen import screen_cohort
from clinic_mm.predict.artifact import save_model
from clinic_mm.predict.calibrate import Temperatures
from clinic_mm.predict.conformal import Thresholds, single
from clinic_mm.predict.experts import Expert
from clinic_mm.predict.model import Model
from clinic_mm.report.run import open_run
from clinic_mm.training.heads import fit_ridge
from tests import made
from tests.cli.terminal import run

NAMES = ("ct", "xray", "eeg", "record", "note")
Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Put together by hand: a ridge for each modality, all trusted alike."""
    cases, size = made.prepared(NAMES, 30), len(NAMES)
    y, prior = cases.labels, np.array([0.5, 0.5])
    with threadpool_limits(1):
        heads = {
            name: fit_ridge(cases.plain[name][there], y[there], 2, seed=0)
            for name, there in zip(NAMES, cases.present.T, strict=True)
        }
        concat = fit_ridge(np.nan_to_num(cases.plain["record"]), y, 2, seed=0)
    whole = Model(
        task=made.task(NAMES),
        recipe=made.recipe(NAMES),
        experts=tuple(Expert(name, name, "plain ridge", head, None) for name, head in heads.items()),
        pool=LogPool(NAMES, prior, np.ones(size), np.zeros(size), {}, {}),
        residual=None,
        temperatures=Temperatures(NAMES, 0.0, np.zeros(size), {}),
        thresholds=Thresholds(NAMES, 0.9, {}, {}, single(0.9, 30), (0.9,)),
        concat=concat,
        facts={
            "clinic_mm": "0",
            "torch": "0",
            "threads": 1,
            "n_cases": 30,
            "n_patients": 30,
            "classes": {},
            "patterns": {},
            "experts": {},
            "patients_sha256": [],
            "verdict": {"words": "", "rows": []},
        },
    )
    folder = tmp_path_factory.mktemp("real") / "model"
    save_model(whole, folder)
    return folder


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("ct", "ct/nsclc_LUNG1-001/image"),
        ("ct", "ct/crlm_CRLM-CT-1004"),
        ("ct", "ct/totalseg_biograph"),
        ("ct", "ct/head_ge_hispeed"),
        ("ct", "ct/totalseg_nifti/example_ct.nii.gz"),
        ("xray", "xray_dicom/RG1_JLSN.dcm"),
        ("xray", "xray_dicom/gdcm-CR-MONO1-10-chest.dcm"),
        ("xray", "multimodal/chest_hannover/images/*.jpg"),
        ("eeg", "eeg/formats/edf/eegmmidb_64ch_T0T1T2.edf"),
        ("eeg", "eeg/formats/edf/nk_MB0400FU.edf"),
        ("eeg", "eeg/formats/bdf/psg_19ch_annotations.bdf"),
        ("eeg", "eeg/formats/brainvision/test.vhdr"),
        ("eeg", "eeg/formats/eeglab/eeglab_data.set"),
        ("eeg", "eeg/formats/nihonkohden/MB0400FU.EEG"),
        ("record", "fhir/synthea_r4/*.json.gz"),
    ],
)
def test_a_real_file_alone_is_answered(model: Path, name: str, path: str, data: Path, capsys: Capture) -> None:
    said = run(capsys, "predict", model, f"--{name}", sorted(data.glob(path))[0], "--json")
    assert said.code == 0
    assert isinstance(said.json, dict)
    assert said.json["pattern"] == [name]
    assert sum(said.json["probabilities"]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "path", "code"),
    [
        ("ct", "ct/totalseg_nifti/example_seg_dicom.nii.gz", "ct.not_hu"),
        ("ct", "ct", "case.several_patients"),
        ("ct", "robustness/dicom/series/two_patients", "case.several_patients"),
        ("ct", "robustness/dicom/series/missing_slices", "ct.missing_slices"),
        ("ct", "xray_dicom/RG1_JLSN.dcm", "case.other_kind"),
        ("xray", "xray_dicom/mlut_18.dcm", "dicom.unsupported_modality"),
        ("eeg", "eeg/formats/edf/mne_test_139ch.edf", "eeg.no_1020"),
        ("eeg", "eeg/formats/fif/test_bin_raw.fif", "eeg.no_1020"),
        ("record", "fhir/synthea_bulk10", "case.several_patients"),
        ("note", "fhir/synthea_bulk10", "case.several_patients"),
    ],
)
def test_a_real_file_that_cannot_be_used_is_refused_in_one_line(
    model: Path, name: str, path: str, code: str, data: Path, capsys: Capture
) -> None:
    said = run(capsys, "predict", model, f"--{name}", data / path)
    assert said.code == 3
    assert len(said.lines) == 1
    assert f"({code})" in said.err


def test_hostile_files_stop_neither_ingest_nor_screening(model: Path, data: Path, tmp_path: Path) -> None:
    sources = [f'[[source]]\nname = "{n}"\npath = "{data / p}"\npatient = "folder"\n' for n, p in HARD.items()]
    (tmp_path / "cohort.toml").write_text('undated = "accept"\n' + "".join(sources), encoding="utf-8")
    cohort = ingest(tmp_path / "cohort.toml", tmp_path / "cohort", key=tmp_path / "key" / "pseudonym.key")
    assert cohort.info.counts["failed"] == 0
    info = screen_cohort(model, cohort.path, tmp_path / "run", options=ScreenOptions(validate=False))
    assert info.counts.failed == 0
    assert info.counts.done > 3
    assert info.counts.done + info.counts.skipped == cohort.info.counts["patients"]
    assert set(open_run(tmp_path / "run").skipped()["status"]) <= {"absent", "rejected"}


HARD = {"hard": "robustness/dicom", "recordings": "eeg/formats"}
