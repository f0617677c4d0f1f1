"""Put feature values into at most 64 bins once, before boosting, and bring thresholds back.

In:  features [n, p], NaN where missing. Out: bin numbers as floats, NaN kept; thresholds in the features' own unit.
Scikit-learn bins again at every fit, and with weights it takes longer for that than for the trees.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from jaxtyping import Float64, Int
from numpy import ndarray as Array

MOST_BINS: Final = 64


@dataclass(frozen=True, slots=True)
class Bins:
    """Upper edges of the bins of each column but the last."""

    edges: tuple[Float64[Array, " e"], ...]

    @classmethod
    def of(cls, x: Float64[Array, "n p"]) -> Self:
        """Between neighbouring values where there are few, at quantiles where there are many."""
        return cls(tuple(_edges(column[~np.isnan(column)]) for column in x.T))

    def numbers(self, x: Float64[Array, "n p"]) -> Float64[Array, "n p"]:
        """How many edges lie below each value."""
        out = np.full(x.shape, np.nan)
        for j, edges in enumerate(self.edges):
            known = ~np.isnan(x[:, j])
            out[known, j] = np.searchsorted(edges, x[known, j], side="left")
        return out

    def threshold(self, feature: Int[Array, " N"], number: Float64[Array, " N"]) -> Float64[Array, " N"]:
        """What a bound between two bin numbers is in the feature's own unit; an infinite bound stays."""
        out = number.astype(np.float64)
        for node in np.flatnonzero(np.isfinite(number)):
            edges = self.edges[feature[node]]
            out[node] = edges[min(int(number[node]), len(edges) - 1)] if len(edges) else number[node]
        return out


def _edges(values: Float64[Array, " k"]) -> Float64[Array, " e"]:
    distinct = np.unique(values)
    if len(distinct) <= MOST_BINS:
        between: Array = (distinct[1:] + distinct[:-1]) / 2
        return between
    return np.unique(np.quantile(values, np.linspace(0, 1, MOST_BINS + 1)[1:-1]))
