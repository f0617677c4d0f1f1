"""What the whole of training answers to real stays of PhysioNet 2012: cross-validated by patient, native and masked.

In:  the folder of the data sets, a work folder that keeps the cohort, the cache and each fold. Out: a frame of answers.
"""

from pathlib import Path

import pandas as pd

from clinic_mm.predict.answers import OURS
from clinic_mm.prep.batch import fit_preps, plan_recipe, prepare_cases
from clinic_mm.prep.cache import open_cache
from clinic_mm.prep.relearn import Relearn
from clinic_mm.task import read_task
from clinic_mm.training.crossval import Loss, cross_validate, without_modalities
from clinic_mm.training.train import training_cases
from pipelines.icu_mortality import HERE, cohort_of


def answered(data: Path, work: Path, *, repeats: int, folds: int) -> pd.DataFrame:
    """Our answers to each stay with all that it has, and without each modality with probability 0.5."""
    cohort, task = cohort_of(data, work), read_task(HERE / "icu_mortality.task.toml")
    cases = training_cases(cohort, task, 0.0)
    recipe = fit_preps(cases, cohort.roots, plan_recipe(task))
    cache = open_cache(work / "cache", 20.0, verify=False)
    prepared = prepare_cases(cases, cohort.roots, recipe, workers=1, cache=cache)
    half = (Loss("modalities", 0.5, without_modalities),)
    frame = cross_validate(
        prepared,
        recipe,
        task,
        relearn=Relearn(cohort.roots, cache=cache),
        repeats=repeats,
        folds=folds,
        losses=half,
        keep=work / "coverage",
        say=print,
    )
    return frame[(frame["method"] == OURS) & (frame["pattern"] != "")]
