"""Every subset of modalities scored on all cases that hold it, masked down to it: what patterns too rare to score show.

In:  a model, one encoding of the test cases. Out: a frame, one row per subset: AUROC with its interval on cases whose
own pattern it is (native) and on cases masked down to it. The two are reported apart: under MAR or MNAR a masked case
is not a native case.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Bool
from numpy import ndarray as Array

from clinic_mm.evaluate.bootstrap import interval
from clinic_mm.evaluate.metrics import auroc
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
        limit. NaN where the cases are not of two classes.
    """
    rows = []
    for mask in sorted(subsets(np.ones(len(model.names), bool)), key=lambda m: (m.sum(), *~m)):
        pattern = "+".join(model.pool.pattern(mask))
        native = (prepared.present == mask).all(axis=1)
        masked = (prepared.present | ~mask).all(axis=1) & ~native
        rows.append(
            {
                "pattern": pattern,
                "size": int(mask.sum()),
                **_scored("native", model, heard, prepared, native, mask),
                **_scored("masked", model, heard, prepared, masked, mask),
                "limit": (limits or {}).get(pattern, np.nan),
            }
        )
    return pd.DataFrame(rows)


def _scored(
    name: str, model: Model, heard: Heard, prepared: PreparedCases, rows: Bool[Array, " n"], mask: Bool[Array, " M"]
) -> dict[str, float]:
    cases = np.flatnonzero(rows & (prepared.labels >= 0))
    labels = prepared.labels[cases]
    if len(np.unique(labels)) < 2:
        return {f"n_{name}": len(cases), name: np.nan, f"{name}_low": np.nan, f"{name}_high": np.nan}
    probabilities = subset_probabilities(model, heard, cases, np.tile(mask, (len(cases), 1)))
    found = interval(auroc, probabilities, labels, prepared.patients[cases], n=DRAWS)
    return {f"n_{name}": len(cases), name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}
