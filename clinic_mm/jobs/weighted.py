"""Weight a model's prediction sets to the cohort that it is about to answer, where its task asks for that.

    RUN/shift.safetensors    features of at most `MOST` cases of the cohort, and a number for each one's patient

In:  a model, cases of an open cohort. Out: that file, once per run; and from it, in every worker, the model with its
`Shift`, the same everywhere. Outcomes of the cohort are not looked at. One case says nothing of a cohort: `predict`
does not come by here.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from safetensors.numpy import load, save

from clinic_mm.cohort.manifest import Cohort
from clinic_mm.predict.model import Model, listen_inside
from clinic_mm.predict.shift import fit_shift
from clinic_mm.predict.shifted import shift_features, shift_words
from clinic_mm.prep.batch import prepare_cases
from clinic_mm.prep.cache import PrepCache
from clinic_mm.report.atomic import written_whole
from clinic_mm.types import CaseRecord

FILE: Final = "shift.safetensors"
MOST: Final = 1000
"""Cases of the new cohort that the likelihood ratio is learnt from."""


def weigh(
    model: Model,
    cohort: Cohort,
    cases: Sequence[CaseRecord],
    run: Path,
    workers: int,
    cache: PrepCache | None,
    say: Callable[[str], None],
) -> str:
    """Keep what the weights of this cohort are learnt from.

    Returns:
        SHA-256 of the file; "" where weights are not asked for, or the model's calibration cases were taken out.
    """
    if model.task.sets.shift != "weighted" or model.calibration_cases is None or not cases:
        return ""
    attended = listen_inside(model, prepare_cases(cases, cohort.roots, model.recipe, workers=workers, cache=cache))
    some = np.flatnonzero(attended.heard.present.any(axis=1))
    if not len(some):
        return ""
    features = shift_features(model, attended.heard)[some]
    patient = np.unique(attended.prepared.patients[some], return_inverse=True)[1]
    content = save({"features": np.ascontiguousarray(features), "patient": patient.astype(np.int64)})
    written_whole(run / FILE, content)
    say(shift_words(reweighted(model, run)))
    return hashlib.sha256(content).hexdigest()


def reweighted(model: Model, run: Path) -> Model:
    """The model with its sets weighted to the cohort of a run; as it was where that run has no weights."""
    if model.calibration_cases is None or not (run / FILE).is_file():
        return model
    arrays = load((run / FILE).read_bytes())
    conditional = model.task.sets.class_conditional
    shift = fit_shift(model.calibration_cases, arrays["features"], arrays["patient"], class_conditional=conditional)
    return replace(model, shift=shift)
