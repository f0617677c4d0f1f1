"""A mistake in a file that a person wrote is answered with the field, and the nearest name there is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from clinic_mm.cohort.spec import parse_spec
from clinic_mm.errors import TaskError
from clinic_mm.sources.tables.mapping import parse_mapping
from clinic_mm.task import parse_task, read_task

TASK = {"target": "ill", "modalities": ["record"]}
WIDE = {"layout": "wide", "patient": "id"}


@pytest.mark.parametrize(
    ("parse", "given", "meant"),
    [
        (parse_task, {**TASK, "sze": "tiny"}, "size"),
        (parse_task, {**TASK, "train": {"epoch": 1}}, "epochs"),
        (parse_task, {**TASK, "modality": {"record": {"kind": "record", "code": ["a"]}}}, "codes"),
        (parse_spec, {"source": [{"pth": "x"}]}, "path"),
        (parse_spec, {"labels": {"path": "x", "offst": "day"}}, "offset"),
        (parse_mapping, {**WIDE, "columns": {"crp": {"unti": "mg/L"}}}, "unit"),
    ],
)
def test_a_misspelt_field_is_answered_with_the_nearest(
    parse: Callable[[dict[str, object]], object], given: dict[str, object], meant: str
) -> None:
    with pytest.raises(TaskError, match=f"did you mean '{meant}'"):
        parse(given)


def test_a_field_that_is_left_out_is_named() -> None:
    with pytest.raises(TaskError, match=r"needed \[task / target\]"):
        parse_task({"modalities": ["record"]})


def test_a_folder_is_no_task_file(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no such task file"):
        read_task(tmp_path)
