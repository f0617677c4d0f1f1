"""A search goes on to the same end after a kill, never sees a test patient, and writes a task that trains."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.cohort.split import split_patients
from clinic_mm.cohort.task_cases import labelled_cases
from clinic_mm.errors import InputError, TaskError
from clinic_mm.predict.answers import OURS
from clinic_mm.task import Task, read_task
from clinic_mm.training import search as room
from clinic_mm.training.search import Setting, Space, read_space, search, toml_text
from clinic_mm.training.session import alone
from clinic_mm.types import CaseRecord
from tests.conftest import Trained

SPACE = Space(
    setting=(
        Setting(field="train.learning_rate", kind="log", low=1e-4, high=1e-2),
        Setting(field="size", kind="choice", values=("tiny", "small")),
    )
)


class KilledError(BaseException):
    """Stands for a kill where the process is to live on."""


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Folds whose answers are the better the nearer the learning rate is to 1e-3; no case is read."""
    known: dict[str, Any] = {"cases": (), "calls": 0, "die_at": None}

    def prepare(cases: tuple[CaseRecord, ...], *_: object, **__: object) -> None:
        known["cases"] = cases

    def validate(prepared: object, recipe: object, task: Task, **_: object) -> pd.DataFrame:
        known["calls"] += 1
        if known["calls"] == known["die_at"]:
            raise KilledError
        p = 1 / (1 + abs(np.log10(task.train.learning_rate) + 3) + 0.1 * (task.size == "small"))
        return pd.DataFrame({"method": OURS, "label": [0, 1], "p_0": [p, 1 - p], "p_1": [1 - p, p]})

    monkeypatch.setattr(room, "prepare_cases", prepare)
    monkeypatch.setattr(room, "fit_preps", lambda *_: None)
    monkeypatch.setattr(room, "cross_validate", validate)
    return known


def test_a_killed_search_ends_as_one_that_was_not(trained: Trained, tmp_path: Path, seen: dict[str, Any]) -> None:
    cohort, task = open_cohort(trained.cohort), read_task(trained.task)
    whole = search(cohort, task, tmp_path / "whole", SPACE, trials=8, test_share=0.4)
    seen.update(calls=0, die_at=7)
    with pytest.raises(KilledError):
        search(cohort, task, tmp_path / "killed", SPACE, trials=8, test_share=0.4)
    seen["die_at"] = None
    assert search(cohort, task, tmp_path / "killed", SPACE, trials=8, test_share=0.4) == whole
    assert seen["calls"] == 7 + 2
    assert json.loads((tmp_path / "killed" / "best.json").read_bytes())["trials"] == whole["trials"]
    assert whole["nll"] == min(trial["nll"] for trial in whole["trials"])
    found = read_task(tmp_path / "killed" / "task.toml")
    assert found.train.learning_rate == whole["settings"]["train.learning_rate"]
    assert found.model_copy(update={"train": task.train, "size": task.size}) == task
    with pytest.raises(TaskError, match="another search"):
        search(cohort, task, tmp_path / "killed", SPACE, trials=8, test_share=0.3)

    cases = labelled_cases(cohort, task)
    test = split_patients(
        [c.patient_key for c in cases], test_share=0.4, seed=task.seed, labels=[c.label for c in cases]
    )
    left_out = {case.patient_key for case, out in zip(cases, test, strict=True) if out}
    assert left_out
    assert not left_out & {case.patient_key for case in seen["cases"]}


def test_two_searches_never_work_in_one_folder(trained: Trained, tmp_path: Path, seen: dict[str, Any]) -> None:
    cohort, task = open_cohort(trained.cohort), read_task(trained.task)
    with (
        alone(tmp_path / "out", "search", "another folder"),
        pytest.raises(InputError, match="Another search is going"),
    ):
        search(cohort, task, tmp_path / "out", SPACE, trials=1)
    assert seen["calls"] == 0
    assert len(search(cohort, task, tmp_path / "out", SPACE, trials=1)["trials"]) == 1


def test_a_space_that_is_none_is_refused_before_anything_is_read(
    trained: Trained, tmp_path: Path, seen: dict[str, Any]
) -> None:
    wrong = Space(setting=(Setting(field="train.learning_rat", kind="choice", values=(1,)),))
    with pytest.raises(TaskError, match="learning_rat"):
        search(open_cohort(trained.cohort), read_task(trained.task), tmp_path, wrong, trials=1)
    assert seen["calls"] == 0
    file = tmp_path / "space.toml"
    file.write_text('[[setting]]\nfield = "size"\nkind = "choice"\n')
    with pytest.raises(TaskError, match="nothing to choose from"):
        read_space(file)
    assert len(read_space(None).setting) == 4


def test_a_task_written_as_toml_is_the_same_task(tmp_path: Path) -> None:
    told = {
        "target": 'a "quoted" label',
        "modalities": ["ct", "chest-film"],
        "level": 0.9,
        "modality": {"chest-film": {"kind": "xray", "options": {}}, "ct": {"kind": "ct"}},
        "train": {"learning_rate": 3e-05, "epochs": None, "batch": 16},
    }
    path = tmp_path / "task.toml"
    path.write_text(toml_text(told))
    assert read_task(path) == Task.model_validate(told)
