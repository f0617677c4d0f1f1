"""The cases of a cohort as a task asks for them."""

from clinic_mm.cohort.cases import check_target
from clinic_mm.cohort.manifest import Cohort
from clinic_mm.errors import TaskError
from clinic_mm.task import Task
from clinic_mm.types import CaseRecord


def task_cases(cohort: Cohort, task: Task) -> tuple[CaseRecord, ...]:
    """All cases at the task's decision time, labelled or not, with the kinds of evidence that the task uses.

    Raises:
        TaskError: If column, time or labels do not fit.
    """
    return cohort.cases(target_of(cohort, task), task.decision_time, task.classes, kinds_of(task))


def kinds_of(task: Task) -> tuple[str, ...]:
    """Kinds of evidence that a task uses."""
    return tuple(dict.fromkeys(task.kind_of(name) for name in task.modalities))


def target_of(cohort: Cohort, task: Task) -> str | None:
    """The label column that a task asks for, None where the cohort has none."""
    return task.target if cohort.labels is not None and task.target in cohort.labels else None


def labelled_cases(cohort: Cohort, task: Task) -> tuple[CaseRecord, ...]:
    """Those with a label.

    Raises:
        TaskError: If column, time or labels do not fit, or there is none.
    """
    check_target(cohort.labels, task.target)
    cases = tuple(case for case in task_cases(cohort, task) if case.label is not None)
    if not cases:
        mend = "Fill in the labels column, or its decision times, and ingest again"
        raise TaskError("The cohort has no labelled case", task.target, mend)
    return cases
