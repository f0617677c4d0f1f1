"""How well each modality of a cohort can be told from the others: what `clinic-mm describe --task` adds.

In:  an open cohort, a task. Out: the table of `colearning.plain_translator`.
A label is not needed; every case of the task takes part. Patients are never on both sides.
"""

import pandas as pd

from clinic_mm.cohort.manifest import Cohort
from clinic_mm.cohort.task_cases import task_cases
from clinic_mm.colearning.plain_translator import translations
from clinic_mm.prep.batch import Progress, fit_preps, plan_recipe, prepare_cases
from clinic_mm.task import Task

TITLE = "Told from others: R² out of fold"


def told_from_others(cohort: Cohort, task: Task, *, workers: int = 1, progress: Progress | None = None) -> pd.DataFrame:
    """Prepare the cases of a task and translate each modality into each other one."""
    cases = task_cases(cohort, task)
    recipe = fit_preps(cases, cohort.roots, plan_recipe(task))
    prepared = prepare_cases(cases, cohort.roots, recipe, workers=workers, progress=progress)
    return translations(prepared, recipe, seed=task.seed)
