"""How well each modality of a cohort can be told from the others: what `clinic-mm describe --task` adds.

In:  an open cohort, a task. Out: the table of `colearning.plain_translator`.
A label is not needed; every case of the task takes part. Patients are never on both sides. Which numbers of a record
are told is learnt from all cases, and is the question; the components of omics are numbers that are learnt, from a
fifth of the patients, whose samples take no further part.
"""

from typing import Final

import numpy as np
import pandas as pd

from clinic_mm.cohort.manifest import Cohort
from clinic_mm.cohort.split import split_patients
from clinic_mm.cohort.task_cases import task_cases
from clinic_mm.colearning.plain_translator import translations
from clinic_mm.prep.batch import PreparedCases, Progress, Recipe, fit_preps, plan_recipe, prepare_cases
from clinic_mm.prep.gaps import hide
from clinic_mm.prep.relearn import Relearn
from clinic_mm.task import Task

LEARNT_NUMBERS: Final = frozenset({"omics"})
"""Kinds whose plain summaries are no measurements, but were learnt."""
APART: Final = 0.2
TITLE = "Told from others: R² out of fold"


def told_from_others(cohort: Cohort, task: Task, *, workers: int = 1, progress: Progress | None = None) -> pd.DataFrame:
    """Prepare the cases of a task and translate each modality into each other one."""
    cases = task_cases(cohort, task)
    recipe = fit_preps(cases, cohort.roots, plan_recipe(task))
    prepared = prepare_cases(cases, cohort.roots, recipe, workers=workers, progress=progress)
    prepared, recipe = _learnt_apart(prepared, recipe, task, cohort)
    return translations(prepared, recipe, seed=task.seed)


def _learnt_apart(prepared: PreparedCases, recipe: Recipe, task: Task, cohort: Cohort) -> tuple[PreparedCases, Recipe]:
    """Modalities whose numbers are learnt: by what some patients have alone, and hidden in these."""
    planned = {name: prep for name, prep in plan_recipe(task).preps.items() if prep.kind in LEARNT_NUMBERS}
    if not planned:
        return prepared, recipe
    apart = split_patients(prepared.patients.tolist(), test_share=APART, seed=task.seed)
    prepared, recipe = Relearn(cohort.roots).of(prepared, recipe, Recipe(planned, recipe.select), apart)
    numbers = np.array([name in planned for name in prepared.names])
    return hide(prepared, ~(apart[:, None] & numbers)), recipe
