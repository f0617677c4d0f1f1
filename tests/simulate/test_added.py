"""ECG and eye tracking, made only where they are asked for: the oracle finds them, and nothing else changes."""

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from clinic_mm.simulate import ecg, eye, oracle
from clinic_mm.simulate.case import make_case
from clinic_mm.simulate.cohort import write_cohort
from clinic_mm.simulate.latent import DEFAULT, DELTAS, STREAMS, World
from tests.simulate.conftest import read_csv

CASES = 40


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, str]]]:
    out = tmp_path_factory.mktemp("added") / "cohort"
    write_cohort(out, cases=CASES, seed=3, rate=0.0, modalities=("ecg", "eye"))
    return out, read_csv(out / "truth.csv")


@pytest.mark.parametrize("modality", ["ecg", "eye"])
def test_the_oracle_gets_the_latent_back(modality: str, both: tuple[Path, list[dict[str, str]]]) -> None:
    out, truth = both
    estimate = [getattr(oracle, modality)(out, row) for row in truth]
    assert np.corrcoef(estimate, [float(row[f"e_{modality}"]) for row in truth])[0, 1] >= 0.95


def test_the_size_of_neither_tells_the_latent() -> None:
    v = np.random.default_rng(0).normal(size=60)
    for render in (ecg.render, eye.render):
        level = [np.abs(render(one, np.random.default_rng(k))[0]).mean() for k, one in enumerate(v)]
        assert abs(np.corrcoef(level, v)[0, 1]) < 0.35


def test_an_ecg_says_what_a_12_lead_ecg_must(both: tuple[Path, list[dict[str, str]]]) -> None:
    out, truth = both
    ds = dcmread(out / truth[0]["ecg_file"])
    assert (ds.SOPClassUID.name, ds.Modality) == ("12-lead ECG Waveform Storage", "ECG")
    uv = ds.waveform_array(0)
    assert uv.shape == (ecg.SFREQ_HZ * ecg.DURATION_S, 12)
    np.testing.assert_allclose(uv[:, 0] + uv[:, 2], uv[:, 1], atol=3 * ecg.UV_PER_STEP)
    assert str(ds.PatientName) == "SIMULATED^CASE"


def test_the_list_beside_the_gaze_names_each_file_once(both: tuple[Path, list[dict[str, str]]]) -> None:
    out, truth = both
    with (out / "eye" / "recordings.csv").open(encoding="utf-8", newline="") as file:
        listed = {row["file"]: row["patient_id"] for row in csv.DictReader(file)}
    found = {path.relative_to(out / "eye").as_posix() for path in (out / "eye").rglob("*-?.csv")}
    assert set(listed) == found
    assert all(listed[row["eye_file"].removeprefix("eye/")] == row["patient_id"] for row in truth)


def test_the_default_cohort_is_the_five_and_new_streams_come_last() -> None:
    assert DEFAULT == ("ct", "xray", "eeg", "record", "note") == tuple(DELTAS)[:5]
    assert STREAMS[:7] == ("latent", "person", *DEFAULT)
    case = make_case(World(), seed=4, number=0)
    told = f"{case.decision_time} {case.birth_date} {case.late_at} {[case.acquired[m] for m in DEFAULT]}"
    assert hashlib.sha256(told.encode()).hexdigest()[:16] == "5b5e3b0a341b3e19"
