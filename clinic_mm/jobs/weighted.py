"""Weight a model's prediction sets to the cohort that it is about to answer, where its task asks for that.

In:  a model, an open cohort, its cases. Out: the model with its `Shift`, learnt from at most `MOST` of the cases.
Outcomes of the cohort are not looked at. One case says nothing of a cohort: `predict` does not come by here.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from clinic_mm.cohort.manifest import Cohort
from clinic_mm.predict.model import Model, listen_inside
from clinic_mm.predict.shifted import shift_words, shifted
from clinic_mm.prep.batch import prepare_cases
from clinic_mm.prep.cache import PrepCache
from clinic_mm.types import CaseRecord

MOST: Final = 1000
"""Cases of the new cohort that the likelihood ratio is learnt from."""


def weighted_to(
    model: Model,
    cohort: Cohort,
    cases: Sequence[CaseRecord],
    workers: int,
    cache: PrepCache | None,
    say: Callable[[str], None],
) -> Model:
    """The model for this cohort; as it was where that is not asked for, or its calibration cases were taken out."""
    if model.task.sets.shift != "weighted" or model.calibration_cases is None or not cases:
        return model
    places = np.unique(np.linspace(0, len(cases) - 1, min(MOST, len(cases))).astype(int))
    some = [cases[place] for place in places]
    attended = listen_inside(model, prepare_cases(some, cohort.roots, model.recipe, workers=workers, cache=cache))
    if not attended.heard.present.any():
        return model
    weighted = shifted(model, attended.heard, attended.prepared.patients)
    say(shift_words(weighted))
    return weighted
