import hashlib
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clinic_mm.errors import UsageError
from clinic_mm.simulate.cohort import write_cohort
from clinic_mm.simulate.limit import Limit
from clinic_mm.task import read_task
from tests.simulate.conftest import Cohort, read_csv


def digests(out: Path) -> dict[str, str]:
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*")
        if path.is_file()
    }


def test_workers_change_no_byte_and_a_larger_cohort_begins_with_the_smaller(tmp_path: Path) -> None:
    one, two, more = tmp_path / "one", tmp_path / "two", tmp_path / "more"
    seen: list[tuple[int, int]] = []
    write_cohort(one, cases=12, seed=4, missing="MNAR", synergy=True, progress=lambda *done: seen.append(done))
    write_cohort(two, cases=12, seed=4, missing="MNAR", synergy=True, workers=2)
    write_cohort(more, cases=14, seed=4, missing="MNAR", synergy=True)
    assert digests(one) == digests(two)
    assert seen == [(10, 12), (12, 12)]
    images = {name: digest for name, digest in digests(one).items() if name.startswith(("dicom", "eeg"))}
    assert images.items() <= digests(more).items()
    assert (more / "labels.csv").read_text().startswith((one / "labels.csv").read_text())
    for shard in (one / "fhir").iterdir():
        assert (more / "fhir" / shard.name).read_bytes().startswith(shard.read_bytes())


def test_only_what_is_present_is_written(tmp_path: Path) -> None:
    write_cohort(tmp_path / "c", cases=30, seed=2, rate=0.6, modalities=("xray", "eeg", "record"))
    truth = read_csv(tmp_path / "c" / "truth.csv")
    for row in truth:
        for modality, column in (("xray", "xray_file"), ("eeg", "eeg_file")):
            assert (row[f"present_{modality}"] == "1") == bool(row[column])
            assert not row[column] or (tmp_path / "c" / row[column]).is_file()
    with_record = {row["patient_id"] for row in truth if row["present_record"] == "1"}
    patients = (tmp_path / "c" / "fhir" / "Patient.000.ndjson").read_text().splitlines()
    assert len(patients) == len(with_record) < 30


def test_the_specs_beside_it_are_what_the_commands_take(complete: Cohort) -> None:
    spec = tomllib.loads((complete.out / "cohort.toml").read_text())
    assert [source["path"] for source in spec["source"]] == ["dicom", "eeg", "fhir"]
    task = read_task(complete.out / "task.toml")
    assert (task.target, task.modalities) == ("label", complete.limit.modalities)
    assert set(next(iter(complete.labels.values()))) == {"patient_id", "decision_time", "label", "sex", "age", "site"}
    assert Limit.model_validate_json((complete.out / "limit.json").read_text()) == complete.limit


def test_the_best_score_is_near_the_limit(complete: Cohort) -> None:
    y = np.array([int(row["label"]) for row in complete.truth])
    score = np.array([float(row["log_odds"]) for row in complete.truth])
    wins = (score[y == 1][:, None] > score[y == 0][None, :]).mean()
    assert abs(wins - complete.limit.auc_limit) < 0.1


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="not empty"):
        write_cohort(tmp_path, cases=1, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("wrong", [{"cases": 0}, {"seed": -1}, {"workers": 0}, {"missing": "sometimes"}])
def test_a_senseless_request_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        write_cohort(tmp_path / "c", **({"cases": 1, "seed": 0} | wrong))
    assert not (tmp_path / "c").exists()
