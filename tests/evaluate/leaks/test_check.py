"""The checks as people meet them: a clean cohort passes, planted leaks stop training, whoever goes on is told of."""

import shutil
from pathlib import Path

import orjson
import pandas as pd
import pytest

from benchmarks.planted_leaks import second_keys, shifted_records
from clinic_mm.cohort.ingest import ingest
from clinic_mm.cohort.manifest import Cohort, open_cohort
from clinic_mm.errors import LeakError
from clinic_mm.evaluate.leaks.check import Checks
from clinic_mm.jobs.check import as_text, check_cohort
from clinic_mm.task import read_task
from clinic_mm.training.train import train
from tests.conftest import Trained
from tests.made import DECISION

SECOND = ("SIM-1-00003", "SIM-1-00011")


@pytest.fixture(scope="module")
def leaky(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """The cohort of `trained` with two of its patients once more under other keys, and one record twice."""
    files = tmp_path_factory.mktemp("leaky") / "files"
    shutil.copytree(trained.files, files)
    (files / "eeg").mkdir(exist_ok=True)
    second_keys(files, SECOND)
    shifted_records(files, {"SIM-1-00020": "SIM-1-00021"})
    return ingest(files, files.parent / "cohort", key=trained.key)


def test_a_clean_cohort_has_no_error_and_the_artifact_keeps_what_was_looked_at(trained: Trained) -> None:
    told = orjson.loads((trained.model / "model.json").read_bytes())["facts"]["checks"]
    assert not told["accepted"]
    assert not [leak for leak in told["leaks"] if leak["severity"] == "error"]
    assert {look["check"] for look in told["looked"]} >= {
        "copies of xray",
        "copies of record",
        "copies of note",
        "shortcuts",
    }
    assert all("cases" not in leak for leak in told["leaks"])
    assert all(one["low"] <= one["auroc"] <= one["high"] for one in told["shortcuts"])


def test_planted_leaks_are_found_and_named_with_their_mend(leaky: Cohort, trained: Trained) -> None:
    told = check_cohort(leaky, read_task(trained.task))
    codes = {leak.code for leak in told.errors}
    assert {"duplicate.same_record", "patient.two_keys"} <= codes
    text = as_text(told)
    assert "SIM-1" not in text
    assert all(leak.mend and leak.n > 0 for leak in told.leaks)


def test_a_record_scaled_over_all_patients_stops_training(trained: Trained, tmp_path: Path) -> None:
    shutil.copytree(trained.cohort, tmp_path / "cohort")
    rows = pd.read_parquet(tmp_path / "cohort" / "record.parquet")
    code = rows[rows["value"].notna()]["code"].value_counts().index[0]
    x = rows["value"].where(rows["code"] == code)
    rows["value"] = rows["value"].where(x.isna(), (x - x.mean()) / x.std())
    rows.to_parquet(tmp_path / "cohort" / "record.parquet", index=False)
    with pytest.raises(LeakError, match="scaled over all patients"):
        train(open_cohort(tmp_path / "cohort"), read_task(trained.task), tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_training_stops_before_anything_is_learnt_and_accepting_it_is_told(
    leaky: Cohort, trained: Trained, tmp_path: Path
) -> None:
    task = read_task(trained.task)
    with pytest.raises(LeakError, match="accept-leaks") as stopped:
        train(leaky, task, tmp_path / "model")
    assert stopped.value.exit_code == 7
    assert not (tmp_path / "model").exists()
    train(leaky, task, tmp_path / "model", accept_leaks=True)
    assert "IN SPITE OF errors" in (tmp_path / "model" / "card.md").read_text(encoding="utf-8")


def test_evidence_after_the_decision_is_caught_whoever_let_it_in(trained: Trained) -> None:
    cohort, task = open_cohort(trained.cohort), read_task(trained.task)
    cases = [case for case in cohort.cases("label") if case.usable("xray")]
    with pytest.raises(LeakError, match="after the decision"):
        Checks(cohort, task, [cases[0].model_copy(update={"decision_time": DECISION.replace(year=1999)})]).of_rows()
