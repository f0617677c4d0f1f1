"""What a drafter asks of a cohort: cases with their notes, and the task without notes.

In:  an open cohort, a task. Out: cases, the text of each case's note, the task of what drafts rest on.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from clinic_mm.cohort.load import load_evidence
from clinic_mm.cohort.manifest import Cohort
from clinic_mm.cohort.task_cases import task_cases
from clinic_mm.errors import EvidenceError, TaskError
from clinic_mm.signals import NoteText
from clinic_mm.sources.choose import in_order
from clinic_mm.task import Task
from clinic_mm.types import CaseRecord

NOTE: Final = "note"
"""Row of the modality table that drafts are learnt from, and that none ever rests on."""


def input_task(task: Task) -> Task:
    """The task with notes taken out.

    Raises:
        TaskError: If nothing is left.
    """
    names = tuple(name for name in task.modalities if task.kind_of(name) != NOTE)
    if not names:
        mend = 'Name what drafts rest on too, such as modalities = ["xray", "record", "note"]'
        raise TaskError("The task has nothing but notes", "modalities", mend)
    options = {name: told for name, told in task.modality.items() if name in names}
    return task.model_copy(update={"modalities": names, "modality": options})


def draft_cases(cohort: Cohort, task: Task) -> tuple[CaseRecord, ...]:
    """All cases at the task's decision time, labelled or not, with their notes whether the task names them or not.

    Raises:
        TaskError: If column, time or labels do not fit.
    """
    kinds = {task.kind_of(name) for name in task.modalities}
    with_notes = task if NOTE in kinds else task.model_copy(update={"modalities": (*task.modalities, NOTE)})
    return task_cases(cohort, with_notes)


def note_texts(cases: Sequence[CaseRecord], roots: Mapping[str, Path], select: str) -> list[str]:
    """The note of each case, the first that can be read; "" where there is none."""
    return [_text(case, roots, select) for case in cases]


def _text(case: CaseRecord, roots: Mapping[str, Path], select: str) -> str:
    for evidence in in_order(case.usable(NOTE), select):
        try:
            signal = load_evidence(evidence, roots)
        except EvidenceError:
            continue
        assert isinstance(signal, NoteText)
        return signal.text
    return ""
