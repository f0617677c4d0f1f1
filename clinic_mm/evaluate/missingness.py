"""What happens when evidence goes missing: drop it at test, draw the curve, and see whether more evidence ever hurts.

In:  feature tables or presence masks and a rate; answers per rate; calibrated answers per subset of one case.
Out: the same with cells dropped; a curve table with intervals; the counter-intuitive rate.

Missing completely at random only. The same seed drops nested sets: what is gone at 30 % is gone at 50 %, so that a
curve shows the rate and not the luck of the draw.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float64, Int
from numpy import ndarray as Array

from clinic_mm.evaluate.bootstrap import DRAWS, Interval, draw_counts, interval, percentile
from clinic_mm.evaluate.metrics import Metric, auroc

RATES: Final = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
"""The grid of METHODS §5."""


def drop_columns(
    x: Float[Array, "n p"], rate: float, seed: int, *, parameter: Sequence[object] | None = None
) -> Float64[Array, "n p"]:
    """A copy in which each parameter of each row is missing with probability `rate`, rows independently.

    Args:
        x: Features, NaN where missing already.
        rate: 0 to 1. A row may lose everything.
        seed: Of the draw; nested over rates.
        parameter: What each column tells of; columns of one parameter (mean, last, count) go together. Each column is
            its own parameter if None.
    """
    names = np.arange(x.shape[1]) if parameter is None else pd.factorize(np.asarray(parameter, dtype=object))[0]
    gone = np.random.default_rng(seed).random((len(x), int(names.max(initial=-1)) + 1)) < rate
    return np.where(gone[:, names], np.nan, x.astype(np.float64))


def drop_modalities(present: Bool[Array, "n M"], rate: float, seed: int) -> Bool[Array, "n M"]:
    """A presence mask in which each present modality is gone with probability `rate`.

    A row that had anything keeps at least one modality (the one whose turn would have come last), so at high rates
    rather less than `rate` is dropped; a row that had nothing stays empty.

    Args:
        present: Which modality each row has.
        rate: 0 to 1.
        seed: Of the draw; nested over rates.
    """
    turn = np.where(present, np.random.default_rng(seed).random(present.shape), -1.0)
    last = turn == turn.max(axis=1, keepdims=True, initial=-1.0)
    kept: Bool[Array, "n M"] = present & ((turn >= rate) | last)
    return kept


def curve(
    answers: Mapping[float, Float[Array, "n C"]],
    labels: Int[Array, " n"],
    patients: Array,
    *,
    method: str,
    metric: Metric = auroc,
    n: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """A metric over missing rates, with intervals; concatenate the frames of several methods for one figure.

    Args:
        answers: Probabilities of the same rows at each rate; [R, n, C] where repeated.
        labels: Class numbers.
        patients: Patient of each row.
        method: Its name on the figure.
        metric: What is drawn.
        n: Bootstrap draws.
        seed: Of the draws.
        level: Of the intervals.

    Returns:
        Columns method, rate, metric, value, low, high, n_cases, n_patients, level.
    """
    rows = []
    for rate, probs in sorted(answers.items()):
        found = interval(metric, probs, labels, patients, n=n, seed=seed, level=level)
        rows.append((method, rate, metric.name, found.estimate, found.low, found.high, found.n_rows, found.n_patients))
    columns = ["method", "rate", "metric", "value", "low", "high", "n_cases", "n_patients"]
    return pd.DataFrame(rows, columns=columns).assign(level=level)


def counter_intuitive_rate(
    subsets: Sequence[Mapping[str, Sequence[float]]],
    labels: Int[Array, " n"],
    patients: Array,
    *,
    n: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """How often one more modality lowered the probability of the truth.

    Over all pairs S, S + one modality of a case (S not empty), averaged within the case, then over cases. It is not 0
    even for the best possible model, since true evidence misleads now and then: compare methods, or with the limit.

    Args:
        subsets: Of each case, probabilities by subset name (sorted names joined by "+"), as `Prediction.subsets`.
            Cases with one modality have no pair and are left out.
        labels: Class numbers.
        patients: Patient of each case.
        n: Bootstrap draws.
        seed: Of the draws.
        level: Of the interval.

    Source: the pairs follow SimMLM (ICCV 2025), which ranks the losses of nested subsets.
    """
    rates = np.array([_worse_share(case, int(y)) for case, y in zip(subsets, labels, strict=True)])
    kept = ~np.isnan(rates)
    if not kept.any():
        return Interval(float("nan"), float("nan"), float("nan"), 0, 0)
    names, index = np.unique(np.asarray(patients)[kept], return_inverse=True)
    draws = [c @ rates[kept] / c.sum(axis=1) for c in draw_counts(index, len(names), n=n, seed=seed)]
    ends = percentile(np.concatenate(draws), level)
    return Interval(float(rates[kept].mean()), *ends, len(names), int(kept.sum()))


def _worse_share(case: Mapping[str, Sequence[float]], label: int) -> float:
    """Share of nested pairs of one case where the greater set gave the truth less; NaN without a pair."""
    truth = {frozenset(name.split("+")): p[label] for name, p in case.items() if name}
    pairs = [(truth[s - {m}], p) for s, p in truth.items() for m in s if s - {m} in truth]
    return float(np.mean([more < fewer for fewer, more in pairs])) if pairs else float("nan")
