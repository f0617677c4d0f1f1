"""One ECG in every format is one ECG; what is wrong with a file is said by its code."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from clinic_mm.cohort.gather import gather
from clinic_mm.cohort.spec import SourceSpec
from clinic_mm.errors import EvidenceError, TaskError
from clinic_mm.prep.ecg import EcgPrep, measured, twelve
from clinic_mm.sources.ecg.recording import find_ecg, load
from clinic_mm.sources.samples import LeadColumns
from clinic_mm.task import ModalityTask
from clinic_mm.types import Evidence, Rejected
from tests.sources.ecg.made import LEADS, SFREQ_HZ, heart, write_dicom, write_edf, write_table, write_wfdb

ZONE = ZoneInfo("Europe/Berlin")
BERLIN_MORNING = datetime(2024, 1, 2, 9, 15, tzinfo=UTC)
REAL = Path(str(get_testdata_file("waveform_ecg.dcm")))
"""A real resting ECG that pydicom brings along, with what its recorder measured: RR 982 ms, QRS 75 ms, axis 52°."""


def odd(path: Path, mv: np.ndarray) -> Path:
    return write_wfdb(path, mv[:, :-1], 212)


WRITERS: dict[str, Callable[[Path, np.ndarray], Path]] = {
    "a.dcm": write_dicom,
    "b.dcm": lambda path, mv: write_dicom(path, mv, big=True),
    "a.edf": write_edf,
    "a.csv": write_table,
    "a16.hea": lambda path, mv: write_wfdb(path, mv, 16),
    "a24.hea": lambda path, mv: write_wfdb(path, mv, 24),
    "a32.hea": lambda path, mv: write_wfdb(path, mv, 32),
    "a212.hea": lambda path, mv: write_wfdb(path, mv, 212),
    "odd.hea": odd,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_millivolts_and_is_found_as_an_ecg(name: str, tmp_path: Path) -> None:
    mv = heart()
    path = WRITERS[name](tmp_path / name, mv)
    files = [path, *tmp_path.glob("*.dat")]
    ecg = load(files)
    assert (ecg.leads, ecg.flags, ecg.bad) == (LEADS, (), ())
    assert ecg.sfreq_hz == pytest.approx(SFREQ_HZ)
    np.testing.assert_allclose(ecg.millivolts, mv[:, : ecg.millivolts.shape[1]], atol=0.0026)
    _, gathered = gather(SourceSpec(kind="ecg", path=str(tmp_path), timeless=True), tmp_path, ZONE, frozenset())
    (found,) = gathered.found
    assert isinstance(found.finding, Evidence), found.finding
    assert found.finding.modality == "ecg"
    assert len(found.finding.paths) == len(files)
    if name != "a.csv":
        assert gather(SourceSpec(path=str(tmp_path)), tmp_path, ZONE, frozenset())[1].found == gathered.found
    if name.endswith((".dcm", ".hea")):
        assert found.finding.acquired_at == BERLIN_MORNING
    assert found.patient_id == {".dcm": "P7", ".edf": "case_7"}.get(path.suffix, "")


def test_a_real_ecg_measures_as_its_recorder_did() -> None:
    ecg = load([REAL])
    assert (ecg.leads, ecg.sfreq_hz, ecg.millivolts.shape) == (LEADS, 1000.0, (12, 10_000))
    assert (ecg.flags, ecg.bad) == ((), ())
    prep = EcgPrep.plan("tiny", ModalityTask(kind="ecg"))
    named = dict(zip(prep.plain_names, prep(ecg).plain.tolist(), strict=True))
    assert 60_000 / named["heart rate"] == pytest.approx(982, abs=5)
    assert named["QRS duration"] == pytest.approx(75, abs=10)
    assert np.degrees(np.arctan2(named["axis sin"], named["axis cos"])) == pytest.approx(52, abs=5)


def refused(files: list[Path]) -> str:
    with pytest.raises(EvidenceError) as error:
        load(files)
    assert error.value.mend or error.value.where
    return error.value.code


def test_a_dicom_file_that_does_not_say_what_it_holds_is_refused(tmp_path: Path) -> None:
    mv = heart()
    assert refused([write_dicom(tmp_path / "a", mv, WaveformSampleInterpretation="MB")]) == "ecg.waveform"
    assert refused([write_dicom(tmp_path / "b", mv, NumberOfWaveformSamples=4000)]) == "ecg.waveform"
    assert refused([write_dicom(tmp_path / "c", mv, NumberOfWaveformSamples=300)]) == "ecg.too_short"
    assert refused([write_dicom(tmp_path / "d", mv, SamplingFrequency=2)]) == "ecg.rate"
    assert refused([write_dicom(tmp_path / "e", mv, MultiplexGroupLabel="MEDIAN BEAT")]) == "ecg.no_waveform"
    assert refused([write_dicom(tmp_path / "f", mv, ("X",) * 12)]) == "ecg.no_leads"


def test_padding_is_missing_and_a_unit_is_not_guessed(tmp_path: Path) -> None:
    mv = heart()
    mv[3, 100:120] = -30
    padded = load([write_dicom(tmp_path / "a", mv, WaveformPaddingValue=np.int16(-12000).tobytes())])
    assert [flag.code for flag in padded.flags] == ["ecg.bridged"]
    np.testing.assert_allclose(padded.millivolts[3, 100:120], mv[3, 99], atol=0.1)
    assert refused([write_edf(tmp_path / "b.edf", heart(), unit="mmHg")]) == "ecg.unit"
    assert refused([write_edf(tmp_path / "c.edf", heart(), unit="uV")]) == "ecg.scale"


def test_a_wfdb_record_is_held_against_its_header(tmp_path: Path) -> None:
    mv = heart()
    assert refused([write_wfdb(tmp_path / "a.hea", mv, 16, checksum=1)]) == "ecg.checksum"
    path = write_wfdb(tmp_path / "b.hea", mv, 16)
    path.with_suffix(".dat").write_bytes(path.with_suffix(".dat").read_bytes()[:-2])
    assert refused([path]) == "ecg.truncated"
    path.with_suffix(".dat").unlink()
    assert refused([path]) == "ecg.companion"
    text = write_wfdb(tmp_path / "c.hea", mv, 16).read_text()
    for old, new, code in (
        ("c.dat", "../c.dat", "ecg.companion"),
        ("c 12", "c/2 12", "ecg.wfdb_form"),
        ("dat 16 ", "dat 16x4 ", "ecg.wfdb_form"),
        ("dat 16 ", "dat 8 ", "ecg.wfdb_form"),
        ("1000/mV", "0/mV", "ecg.unit"),
        ("1000/mV", "1000/mmHg", "ecg.unit"),
        ("c 12", "c 99", "ecg.header"),
    ):
        (tmp_path / "c.hea").write_text(text.replace(old, new))
        assert refused([tmp_path / "c.hea", tmp_path / "c.dat"]) == code, (old, new)


def test_a_table_is_read_as_its_source_declares_it(tmp_path: Path) -> None:
    mv = heart()
    lines = ["\t".join(f"lead {lead}" for lead in LEADS), *("\t".join(f"{v * 1000:.1f}" for v in row) for row in mv.T)]
    (tmp_path / "a.tsv").write_text("\n".join(lines))
    assert refused([tmp_path / "a.tsv"]) == "ecg.columns"
    (found,) = find_ecg(tmp_path, "r", [tmp_path / "a.tsv"], ZONE, unit="uV", sfreq_hz=SFREQ_HZ)
    assert isinstance(found.finding, Evidence), found.finding
    ecg = load([tmp_path / "a.tsv"], locator=found.finding.locator)
    np.testing.assert_allclose(ecg.millivolts, mv, atol=1e-3)
    for wrong in ({"unit": "mV"}, {"sfreq_hz": 250}, {"unit": "mV", "sfreq_hz": 250, "colums": {}}):
        with pytest.raises(TaskError):
            list(find_ecg(tmp_path, "r", [tmp_path / "a.tsv"], ZONE, **wrong))
    with pytest.raises(EvidenceError, match="manifest"):
        load([tmp_path / "a.tsv"], locator="{}")
    for told in (LeadColumns(unit="bar", sfreq_hz=250), LeadColumns(unit="mV", sfreq_hz=250, columns={"I": "gone"})):
        with pytest.raises(EvidenceError):
            load([tmp_path / "a.tsv"], locator=told.locator)


def test_times_that_are_not_even_and_cells_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    text = write_table(tmp_path / "a.csv", heart()).read_text().splitlines()
    (tmp_path / "gap.csv").write_text("\n".join([*text[:900], *text[1000:]]))
    assert refused([tmp_path / "gap.csv"]) == "ecg.times"
    (tmp_path / "word.csv").write_text("\n".join([*text[:900], text[900] + "x", *text[901:]]))
    assert refused([tmp_path / "word.csv"]) == "table.not_numbers"


def test_files_that_are_no_ecg_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.scp").write_bytes(b"\1\2" + bytes(14) + b"SCPECG" + bytes(100))
    (tmp_path / "b.hea").write_text("not a header at all\n")
    _, gathered = gather(SourceSpec(path=str(tmp_path)), tmp_path, ZONE, frozenset())
    said = {o.path: o.finding for o in gathered.found}
    assert isinstance(said["a.scp"], Rejected)
    assert "SCP-ECG" in said["a.scp"].why
    assert isinstance(said["b.hea"], Rejected)
    assert said["b.hea"].code == "ecg.header"


def test_a_source_of_ecgs_takes_no_other_dicom(tmp_path: Path) -> None:
    from tests.sources.made import CR_IMAGE
    from tests.sources.made import write_dicom as write_picture

    write_picture(tmp_path / "x.dcm", np.zeros((8, 8), np.uint16), SOPClassUID=CR_IMAGE, Modality="CR")
    write_dicom(tmp_path / "e.dcm", heart())
    _, gathered = gather(SourceSpec(kind="ecg", path=str(tmp_path)), tmp_path, ZONE, frozenset())
    assert [o.finding.modality for o in gathered.found if isinstance(o.finding, Evidence)] == ["ecg"]


def test_a_recording_without_beats_is_said_to_have_none() -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, (12, 2500))
    plain, flags = measured(twelve(noise, list(range(12)), 250.0, 250.0), 250.0)
    assert [flag.code for flag in flags] == ["ecg.no_beats"]
    assert np.isnan(plain[1])
    assert np.isfinite(plain[-3:]).all()
