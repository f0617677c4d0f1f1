"""Intervals by bootstrap over patients: all rows of a drawn patient come together, so n counts patients.

In:  probabilities [n, C] (or of R repeats [R, n, C]), labels, the patient of each row, a metric.
Out: the metric of all rows with a percentile interval; the same for a paired difference.

Draws in which a metric is not defined are left out of the interval. The model is not refitted: the interval speaks of
the patients that were scored, not of the training.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Float64, Int
from numpy import ndarray as Array

from clinic_mm.errors import InputError
from clinic_mm.evaluate.metrics import Metric

DRAWS: Final = 1000
DRAWS_AT_ONCE: Final = 50
"""Keeps the [draws, n] counts in the processor's cache; does not change the result."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its interval.

    Attributes:
        estimate: Of all rows.
        low: Lower end; NaN where no draw defined the metric.
        high: Upper end.
        n_patients: Patients behind it.
        n_rows: Rows behind it.
    """

    estimate: float
    low: float
    high: float
    n_patients: int
    n_rows: int


def interval(
    metric: Metric,
    probs: Float[Array, "n C"] | Float[Array, "R n C"],
    labels: Int[Array, " n"],
    patients: Array,
    *,
    n: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """A metric with its percentile interval over resampled patients (Efron 1979; Davison & Hinkley 1997, ch. 3.8).

    Args:
        metric: From `metrics`.
        probs: Probabilities of each row; with a leading axis, of R repeats, whose metrics are averaged in each draw.
        labels: Class numbers.
        patients: Patient of each row, any type that sorts.
        n: Draws.
        seed: Of the draws; the same seed draws the same patients.
        level: Of the interval.

    Raises:
        InputError: If the arrays do not have one row per label.
    """
    return _interval([(probs, 1.0)], metric, labels, patients, n, seed, level)


def paired_interval(
    metric: Metric,
    probs_a: Float[Array, "n C"],
    probs_b: Float[Array, "n C"],
    labels: Int[Array, " n"],
    patients: Array,
    *,
    n: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Metric of a minus metric of b, both scored on the same draws of patients. Arguments as `interval`."""
    return _interval([(probs_a, 1.0), (probs_b, -1.0)], metric, labels, patients, n, seed, level)


def paired_interval_repeats(
    metric: Metric,
    probs_a: Float[Array, "R n C"],
    probs_b: Float[Array, "Q n C"],
    labels: Int[Array, " n"],
    patients: Array,
    *,
    n: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """As `paired_interval` for repeated cross-validation: the metric is averaged over repeats within each draw.

    Repeats score the same patients again, so they narrow the noise of training and never count as more patients.
    """
    if probs_a.ndim != 3 or probs_b.ndim != 3:
        raise InputError("Repeats need shape [repeats, rows, classes]", "probabilities", "Use paired_interval for one")
    return _interval([(probs_a, 1.0), (probs_b, -1.0)], metric, labels, patients, n, seed, level)


def draw_counts(index: Int[Array, " n"], n_patients: int, *, n: int, seed: int) -> Iterator[Float64[Array, "r n"]]:
    """How often each row is in each draw, a few draws at a time.

    Args:
        index: Patient number of each row, 0 to n_patients − 1.
        n_patients: Patients drawn from, and drawn, with replacement.
        n: Draws in all.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    for start in range(0, n, DRAWS_AT_ONCE):
        r = min(DRAWS_AT_ONCE, n - start)
        drawn = rng.integers(n_patients, size=(r, n_patients)) + n_patients * np.arange(r)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=r * n_patients).reshape(r, n_patients)
        yield counts[:, index].astype(np.float64)


def percentile(draws: Float64[Array, " n"], level: float) -> tuple[float, float]:
    """Both ends of the percentile interval, NaN draws left out; NaN if none is left."""
    kept = draws[~np.isnan(draws)]
    if len(kept) == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(kept, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def _interval(
    terms: list[tuple[Float[Array, "*R n C"], float]],
    metric: Metric,
    labels: Int[Array, " n"],
    patients: Array,
    n: int,
    seed: int,
    level: float,
) -> Interval:
    """Interval of a signed sum of metrics."""
    stacks = [(probs if probs.ndim == 3 else probs[None], sign) for probs, sign in terms]
    if any(stack.shape[1] != len(labels) for stack, _ in stacks) or len(patients) != len(labels):
        what = "Probabilities, labels and patients differ in number of rows"
        raise InputError(what, "evaluation", "Give one row per case to each")
    names, index = np.unique(np.asarray(patients), return_inverse=True)
    if len(labels) == 0:
        return Interval(float("nan"), float("nan"), float("nan"), 0, 0)

    def score(counts: Float64[Array, "r n"]) -> Float64[Array, " r"]:
        sums = [sign * np.mean([metric.resampled(p, labels, counts) for p in stack], axis=0) for stack, sign in stacks]
        return np.sum(sums, axis=0)  # type: ignore[no-any-return]

    draws = np.concatenate([score(c) for c in draw_counts(index, len(names), n=n, seed=seed)])
    estimate = float(score(np.ones((1, len(labels))))[0])
    return Interval(estimate, *percentile(draws, level), len(names), len(labels))
