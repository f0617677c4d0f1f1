"""Every subset of modalities scored on all cases that hold it, masked down to it: what patterns too rare to score show.

In:  a model, one encoding of the test cases. Out: a frame, one row per subset: AUROC, and coverage and size of the
prediction sets, with intervals, on cases whose own pattern it is (native) and on cases masked down to it. The two are
reported apart: under MAR or MNAR a masked case is not a native case.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Bool
from numpy import ndarray as Array

from clinic_mm.evaluate.bootstrap import interval
from clinic_mm.evaluate.metrics import auroc, coverage, set_size
from clinic_mm.fusion.heard import Heard
from clinic_mm.fusion.pool import subsets
from clinic_mm.predict.model import Model, subset_probabilities
from clinic_mm.prep.batch import PreparedCases

DRAWS: Final = 500


def by_subset(
    model: Model, heard: Heard, prepared: PreparedCases, limits: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """AUROC of every subset, fewest modalities first.

    Returns:
        Columns pattern, size, n_native, native, native_low, native_high, n_masked, masked, masked_low, masked_high,
        limit: AUROC, NaN where the cases are not of two classes; and of the prediction sets native_coverage with _low
        and _high (95 %, Bonferroni over the subsets that have cases), native_set_size, the same of masked; NaN where
        sets are weighted for other patients, whose weights hang on all that a case has.
    """
    every = sorted(subsets(np.ones(len(model.names), bool)), key=lambda m: (m.sum(), *~m))
    native = [(prepared.present == mask).all(axis=1) for mask in every]
    masked = [(prepared.present | ~mask).all(axis=1) & ~own for mask, own in zip(every, native, strict=True)]
    rows = []
    for mask, own, more in zip(every, native, masked, strict=True):
        pattern = "+".join(model.pool.pattern(mask))
        rows.append(
            {
                "pattern": pattern,
                "size": int(mask.sum()),
                **_scored("native", model, heard, prepared, own, mask, sum(map(np.any, native))),
                **_scored("masked", model, heard, prepared, more, mask, sum(map(np.any, masked))),
                "limit": (limits or {}).get(pattern, np.nan),
            }
        )
    return pd.DataFrame(rows)


def _scored(
    name: str,
    model: Model,
    heard: Heard,
    prepared: PreparedCases,
    rows: Bool[Array, " n"],
    mask: Bool[Array, " M"],
    comparisons: int,
) -> dict[str, float]:
    cases = np.flatnonzero(rows & (prepared.labels >= 0))
    labels, patients = prepared.labels[cases], prepared.patients[cases]
    names = ("", "_low", "_high", "_coverage", "_coverage_low", "_coverage_high", "_set_size")
    nothing = {f"n_{name}": len(cases), **{f"{name}{what}": np.nan for what in names}}
    if not len(cases):
        return nothing
    present = np.tile(mask, (len(cases), 1))
    probabilities = subset_probabilities(model, heard, cases, present)
    found = nothing
    if model.shift is None:
        sets = model.thresholds.sets(probabilities, present)
        covered = coverage(sets, labels, patients, comparisons=max(1, comparisons))
        found = nothing | {
            f"{name}_coverage": covered.estimate,
            f"{name}_coverage_low": covered.low,
            f"{name}_coverage_high": covered.high,
            f"{name}_set_size": set_size(sets),
        }
    if len(np.unique(labels)) < 2:
        return found
    ranked = interval(auroc, probabilities, labels, patients, n=DRAWS)
    return found | {name: ranked.estimate, f"{name}_low": ranked.low, f"{name}_high": ranked.high}
