"""A task is checked before anything is computed, and every mistake names the field and the mend."""

from pathlib import Path

import pytest

from clinic_mm.errors import TaskError
from clinic_mm.task import parse_task, read_task

GOOD = {"target": "ill", "modalities": ["ct", "eeg"]}


def _refused(**more: object) -> str:
    with pytest.raises(TaskError) as caught:
        parse_task({**GOOD, **more}, "task.toml")
    assert caught.value.mend
    return str(caught.value)


def test_defaults_make_a_whole_task_and_a_task_survives_json() -> None:
    task = parse_task(GOOD)
    assert (task.kind, task.folds, task.level, task.select) == ("binary", 3, 0.9, "latest")
    assert parse_task(task.model_dump(mode="json")) == task


def test_a_modality_of_a_kind_is_read_by_that_kind() -> None:
    task = parse_task(
        {**GOOD, "modalities": ["labs", "vitals"], "modality": {n: {"kind": "record"} for n in ("labs", "vitals")}}
    )
    assert [task.kind_of(name) for name in task.modalities] == ["record", "record"]
    assert task.options("labs").kind == "record"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"modalities": ["egg"]}, "Did you mean 'eeg'?"),
        ({"modalities": ["zebra"]}, "Known: ct, xray, eeg, record, note"),
        ({"modalities": ["ct", "ct"]}, "each named once"),
        ({"modalities": []}, "A task needs modalities"),
        ({"modality": {"note": {"kind": "note"}}}, "not used: ['note']"),
        ({"classes": ["a", "b", "c"]}, "classes do not fit the kind"),
        ({"kind": "survival"}, "reserved, not built yet [task.toml / kind]. Use binary or multiclass"),
        ({"kind": "guess"}, "[task.toml / kind]"),
        ({"level": 1.5}, "[task.toml / level]"),
        ({"folds": 1}, "[task.toml / folds]"),
        ({"train": {"batch": 1}}, "[task.toml / train.batch]"),
        ({"modalites": ["ct"]}, "[task.toml / modalites]"),
        ({"schema_version": "9.0"}, "unknown version '9.0'"),
    ],
)
def test_every_mistake_names_its_place_and_its_mend(more: dict[str, object], told: str) -> None:
    assert told in _refused(**more)


@pytest.mark.parametrize("name", ["a+b", "a/b", "residual", "concat", "all", "", "ct "])
def test_a_name_that_patterns_or_files_could_not_hold_is_refused(name: str) -> None:
    assert "modalities" in _refused(modalities=[name, "ct"], modality={name: {"kind": "eeg"}})


@pytest.mark.parametrize(
    ("content", "told"), [(None, "no such task file"), (b"target = ", "not TOML"), (b"\xff\xfe", "not TOML")]
)
def test_a_file_that_is_no_task_says_so(content: bytes | None, told: str, tmp_path: Path) -> None:
    path = tmp_path / "task.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TaskError, match=told):
        read_task(path)
