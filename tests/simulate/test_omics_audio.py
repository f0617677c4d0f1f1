"""Simulated omics and heart sounds: the oracle finds what they carry, and nothing plain of the whole tells it."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from clinic_mm.simulate import audio, omics, oracle
from clinic_mm.simulate.cohort import write_cohort
from tests.simulate.conftest import read_csv


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, str]]]:
    out = tmp_path_factory.mktemp("both") / "cohort"
    write_cohort(out, cases=50, seed=3, rate=0.0, modalities=("omics", "audio"))
    return out, read_csv(out / "truth.csv")


@pytest.mark.parametrize("modality", ["omics", "audio"])
def test_the_oracle_gets_the_latent_back(modality: str, both: tuple[Path, list[dict[str, str]]]) -> None:
    out, truth = both
    estimate = [getattr(oracle, modality)(out, row) for row in truth]
    assert np.corrcoef(estimate, [float(row[f"e_{modality}"]) for row in truth])[0, 1] >= 0.95


@pytest.mark.parametrize("render", [omics.render, audio.render], ids=["omics", "audio"])
def test_nothing_trivial_of_the_whole_gives_the_answer_away(render: object) -> None:
    v = np.random.default_rng(0).standard_normal(160)
    signals = [render(value, np.random.default_rng(k))[0] for k, value in enumerate(v)]  # type: ignore[operator]
    for trivial in (np.mean, np.std, np.max, np.min):
        feature = np.array([trivial(signal) for signal in signals])
        r = 0.0 if feature.std() < 1e-9 else np.corrcoef(feature, v)[0, 1]
        assert abs(r) < 0.45, trivial.__name__


def test_a_file_names_no_patient_and_the_tables_beside_name_each_once(both: tuple[Path, list[dict[str, str]]]) -> None:
    out, truth = both
    owners = {row["sample_id"]: row["patient_id"] for row in read_csv(out / "omics" / "samples.csv")}
    listed = {row["file"]: row["patient_id"] for row in read_csv(out / "audio" / "recordings.csv")}
    matrix = read_csv(out / "omics" / "counts.000.csv")
    assert {row["sample_id"] for row in matrix} == set(owners)
    assert set(listed) == {path.relative_to(out / "audio").as_posix() for path in (out / "audio").rglob("*.wav")}
    for row in truth:
        assert owners[row["omics_sample"]] == row["patient_id"]
        assert listed[row["audio_file"].removeprefix("audio/")] == row["patient_id"]
        assert row["patient_id"] not in row["audio_file"] + row["omics_sample"]


def test_the_sound_is_what_scipy_reads(both: tuple[Path, list[dict[str, str]]]) -> None:
    out, truth = both
    path = out / truth[0]["audio_file"]
    rate, samples = wavfile.read(path)
    assert (rate, samples.dtype, len(samples)) == (audio.SFREQ_HZ, np.int16, audio.SFREQ_HZ * audio.DURATION_S)
    assert b"SIMULATED" in path.read_bytes()[:100]
