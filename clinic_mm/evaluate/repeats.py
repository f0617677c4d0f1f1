"""Intervals over repeated splits, each with test cases of its own: a patient who is tested twice is drawn once.

In:  for each repeat probabilities, labels and patients. Out: a metric, or a signed sum of metrics, averaged over the
repeats, with a percentile interval over resampled patients of all repeats together.

The models are not refitted: the interval speaks of the patients that were scored; repeats narrow the luck of the split.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int
from numpy import ndarray as Array

from clinic_mm.evaluate.bootstrap import DRAWS, Interval, draw_counts, percentile
from clinic_mm.evaluate.metrics import Metric


@dataclass(frozen=True, slots=True)
class Scored:
    """What one method said of the test cases of one repeat.

    Attributes:
        probs: Probabilities.
        labels: Class numbers.
        patients: Patient of each case.
        weight: How much this counts in a sum: 1 / repeats for a mean, negative for what is taken away.
    """

    probs: Float[Array, "n C"]
    labels: Int[Array, " n"]
    patients: Array
    weight: float = 1.0


def weighted(parts: Sequence[Scored], factor: float = 1.0) -> list[Scored]:
    """The mean over repeats as terms of a sum, times a factor."""
    return [Scored(p.probs, p.labels, p.patients, factor / len(parts)) for p in parts]


def repeated_interval(
    metric: Metric, terms: Sequence[Scored], *, n: int = DRAWS, seed: int = 0, level: float = 0.95
) -> Interval:
    """The signed sum of a metric over the terms, each term's rows drawn by the same draw of patients.

    A mean over repeats is `weighted(ours)`, a paired difference `[*weighted(ours), *weighted(theirs, -1.0)]`, an area
    under a curve the same with the widths of the rates as factors.
    """
    patients = [np.asarray(term.patients) for term in terms]
    if not sum(len(p) for p in patients):
        return Interval(float("nan"), float("nan"), float("nan"), 0, 0)
    names, index = np.unique(np.concatenate(patients), return_inverse=True)
    ends = np.cumsum([0, *(len(p) for p in patients)])

    def score(counts: Float64[Array, "r rows"]) -> Float64[Array, " r"]:
        total = np.zeros(len(counts))
        for term, first, last in zip(terms, ends[:-1], ends[1:], strict=True):
            total += term.weight * metric.resampled(term.probs, term.labels, counts[:, first:last])
        return total

    draws = np.concatenate([score(counts) for counts in draw_counts(index, len(names), n=n, seed=seed)])
    estimate = float(score(np.ones((1, len(index))))[0])
    return Interval(estimate, *percentile(draws, level), len(names), int(ends[-1]))
