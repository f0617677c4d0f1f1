"""Prediction sets by Mondrian conformal prediction: one threshold per availability pattern.

In:  calibrated probabilities and patterns. Out: for each case the classes that cannot be ruled out at a level.
Score: 1 - probability of the class. A rare pattern borrows the threshold of its size, then of all cases. A set is never
empty: the most probable class always stands in it.

Thresholds come from second-level out-of-fold scores, so the promise is approximate; the word stands beside the level.
Source: Sadinle, Lei & Wasserman, doi:10.1080/01621459.2017.1395341; Mondrian: Vovk et al. 2005, §4.5.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array

from clinic_mm.fusion.pool import Pattern


@dataclass(frozen=True, slots=True)
class Threshold:
    """Largest score that stays in the set, and how many calibration patients it rests on."""

    score: float
    n: int


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Thresholds at one level: by pattern, by size, and for all."""

    names: tuple[str, ...]
    level: float
    pattern: Mapping[Pattern, Threshold]
    size: Mapping[int, Threshold]
    every: Threshold

    def of(self, pattern: Pattern) -> Threshold:
        """The threshold that a pattern is judged by."""
        return self.pattern.get(pattern) or self.size.get(len(pattern)) or self.every

    def sets(self, probabilities: Float[Array, "n C"], present: Bool[Array, "n M"]) -> Bool[Array, "n C"]:
        """Which classes stand in the set of each case."""
        scores = np.array([self.of(tuple(sorted(np.array(self.names)[row]))).score for row in present])
        inside = (1.0 - probabilities) <= scores[:, None] + 1e-12
        inside[np.arange(len(inside)), probabilities.argmax(axis=1)] = True
        return inside


def threshold(scores: Float[Array, " n"], patients: Array, level: float) -> Threshold:
    """The conformal quantile of true-class scores: the ceil((n + 1) level)-th smallest, n counted in patients.

    With several cases per patient each patient weighs the same.
    """
    who, count = np.unique(patients, return_counts=True)
    n = len(who)
    # 100 * 0.55 is 55.00000000000001 in floats, and would ask for the 56th.
    rank = np.ceil((n + 1) * level - 1e-9)
    if n == 0 or rank > n:
        return Threshold(1.0, n)
    weight = 1.0 / count[np.searchsorted(who, patients)]
    order = np.argsort(scores)
    passed = np.cumsum(weight[order])
    place = int(np.searchsorted(passed, rank - 1e-9))
    return Threshold(float(scores[order][min(place, len(order) - 1)]), n)
