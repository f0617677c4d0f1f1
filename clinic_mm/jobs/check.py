"""Check a cohort before anything is learnt from it, and say what was found.

In:  an open cohort, a task. Out: `Checked`; as text for a terminal.

Cases are prepared as `train` would prepare them; with the same cache, training reads nothing again.
"""

from clinic_mm.cohort.manifest import Cohort
from clinic_mm.cohort.task_cases import labelled_cases
from clinic_mm.evaluate.leaks.check import Checks
from clinic_mm.evaluate.leaks.findings import Checked, Shortcut
from clinic_mm.prep.batch import Progress, fit_preps, plan_recipe, prepare_cases
from clinic_mm.prep.cache import PrepCache
from clinic_mm.task import Task


def check_cohort(
    cohort: Cohort,
    task: Task,
    *,
    workers: int = 1,
    cache: PrepCache | None = None,
    progress: Progress | None = None,
) -> Checked:
    """All checks over all labelled cases, test patients included; errors are told, not raised.

    Raises:
        TaskError: If the labels do not fit the task.
    """
    cases = labelled_cases(cohort, task)
    checks = Checks(cohort, task, cases, accept=True)
    rows = checks.of_rows()
    recipe = fit_preps(cases, cohort.roots, plan_recipe(task))
    prepared = prepare_cases(cases, cohort.roots, recipe, workers=workers, cache=cache, progress=progress)
    return checks.of_prepared(rows, prepared, recipe).model_copy(update={"accepted": False})


def as_text(told: Checked) -> str:
    """For a terminal: errors first, then findings with their mends, then what each shortcut scores."""
    lines = [f"{told.n_cases} labelled cases of {told.n_patients} patients, {told.target}"]
    for severity, name in (("error", "ERRORS"), ("finding", "FINDINGS, to be reported beside the model")):
        mine = [leak for leak in told.leaks if leak.severity == severity]
        lines += ["", f"{name}: {len(mine) or 'none'}"]
        for leak in mine:
            lines += [f"  {leak.code}: {leak.what}", f"    {leak.mend}"]
    if told.shortcuts:
        every = [*told.shortcuts, *([told.beside] if told.beside else [])]
        lines += ["", "What it scores by itself: AUROC by patient, cross-validated, interval over all of them together"]
        lines += [f"  {_line(one)}" for one in sorted(every, key=lambda one: -one.auroc)]
    lines += ["", "Looked at"]
    lines += [
        f"  {look.check}: {look.of}, found {look.found}" + f" ({look.how})" * bool(look.how) for look in told.looked
    ]
    return "\n".join(lines)


def _line(one: Shortcut) -> str:
    mark = "!" if one.flagged else " "
    return f"{mark} {one.auroc:.3f} ({one.low:.3f} to {one.high:.3f})  {one.name}" + f": {one.why}" * bool(one.why)
