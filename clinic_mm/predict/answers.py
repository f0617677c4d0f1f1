"""Many answers as one tidy frame, one row per case and method: what `evaluate` scores.

In:  a model and prepared cases, or arrays of probabilities by method. Out: a frame with case_key, patient_key, pattern,
label, method, p_0 …, and set_0 … for the fusion. Cases without a label, and cases without any evidence, are left out.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from numpy import ndarray as Array

from clinic_mm.predict.model import Model, baselines, listen, native_probabilities
from clinic_mm.prep.batch import PreparedCases

OURS = "fusion"


def answers(model: Model, prepared: PreparedCases, *, every: bool = False) -> pd.DataFrame:
    """The fusion's answers and those of all baselines; `every`: also to cases without any evidence (the prior)."""
    heard = listen(model, prepared)
    ours = native_probabilities(model, heard)
    sets = model.thresholds.sets(ours, prepared.present)
    return tidy({OURS: ours, **baselines(model, prepared, heard)}, prepared, sets, every=every)


def tidy(
    by_method: Mapping[str, Float[Array, "n C"]],
    prepared: PreparedCases,
    sets: Bool[Array, "n C"] | None = None,
    *,
    every: bool = False,
) -> pd.DataFrame:
    """One row per case and method; prediction sets go with the fusion only."""
    scored = (prepared.labels >= 0) & (prepared.present.any(axis=1) | every)
    base = pd.DataFrame(
        {
            "case_key": [case.case_key for case in prepared.cases],
            "patient_key": prepared.patients,
            "pattern": ["+".join(pattern) for pattern in prepared.patterns()],
            "label": prepared.labels,
        }
    )
    return pd.concat(
        [
            pd.concat([base, _columns("p", p), _columns("set", _sets_of(method, sets, p))], axis=1)
            .assign(method=method)
            .loc[scored]
            for method, p in by_method.items()
        ],
        ignore_index=True,
    )


def _sets_of(method: str, sets: Bool[Array, "n C"] | None, like: Float[Array, "n C"]) -> Array:
    return np.full(like.shape, np.nan) if sets is None or method != OURS else sets.astype(float)


def _columns(stem: str, values: Array) -> pd.DataFrame:
    return pd.DataFrame(values, columns=[f"{stem}_{c}" for c in range(values.shape[1])])
