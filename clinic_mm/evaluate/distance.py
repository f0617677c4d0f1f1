"""How far a model is from the best possible answer to the same cases: AUC(e) − AUC(model), paired by patient.

In:  a comparison on a simulated cohort, and the generator's own probabilities. Out: one row per subset.
On the same cases the luck of the draw falls out; what is left is the reading and the fitting (METHODS §4).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm.evaluate.compared_answers import Compared, masked, masked_keys, subsets_of
from clinic_mm.evaluate.metrics import auroc
from clinic_mm.evaluate.repeats import Scored, weighted

Best = Callable[[Sequence[str], str], Float[Array, "n C"]]
"""The generator's probabilities of cases (by key), masked down to a subset."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a simulated cohort; of a real one nothing is.

    Attributes:
        limits: Best possible AUROC per pattern in the long run.
        best: The best possible answers to its own cases; None where the truth is not at hand.
    """

    limits: Mapping[str, float] = field(default_factory=dict)
    best: Best | None = None


NOTHING_KNOWN: Final = Known()
COLUMNS: Final = ("pattern", "best", "ours", "distance", "distance_low", "distance_high", "n_patients")


def distances(compared: Compared, best: Best, ours: str) -> pd.DataFrame:
    """AUROC of the generator and of ours on the cases that have a subset, and the distance with its interval."""
    rows = []
    for pattern in subsets_of(compared):
        own = [masked(repeat, ours, pattern) for repeat in compared.repeats]
        if not all(len(np.unique(part.labels)) > 1 for part in own):
            continue
        keys = [masked_keys(repeat, ours, pattern) for repeat in compared.repeats]
        known = [Scored(best(k, pattern), part.labels, part.patients) for k, part in zip(keys, own, strict=True)]
        gap = compared.interval(auroc, [*weighted(known), *weighted(own, -1.0)])
        rows.append(
            {
                "pattern": pattern,
                "best": float(np.mean([auroc(part.probs, part.labels) for part in known])),
                "ours": float(np.mean([auroc(part.probs, part.labels) for part in own])),
                "distance": gap.estimate,
                "distance_low": gap.low,
                "distance_high": gap.high,
                "n_patients": gap.n_patients,
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS)
