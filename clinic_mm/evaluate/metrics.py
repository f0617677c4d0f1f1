"""Metrics of METHODS §5, each for one sample or for many weighted resamples of it at once.

In:  probabilities [n, C], class numbers [n], and for resamples how often each row was drawn [R, n].
Out: one number, or one per resample; NaN where a metric is not defined (AUROC of one class).

Nothing here draws resamples (see `bootstrap`) and nothing knows of patients, but for `coverage`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from numpy import ndarray as Array

from clinic_mm.predict.interval import clopper_pearson

ECE_BINS: Final = 15
REDRAWS: Final = 50
"""Label redraws behind the excess ECE."""
FLOOR: Final = 1e-12
"""Least probability whose logarithm is taken."""

Resampled: TypeAlias = Callable[
    [Float[Array, "n C"], Int[Array, " n"], Float64[Array, "R n"]],
    Float64[Array, " R"],
]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: call it for a number, use `resampled` for many weighted resamples.

    Attributes:
        name: As in tables and options.
        label: As on a figure.
        better: Which way is good.
        resampled: (probabilities [n, C], labels [n], counts [R, n]) → [R].
    """

    name: str
    label: str
    better: Literal["higher", "lower"]
    resampled: Resampled

    def __call__(self, probs: Float[Array, "n C"], labels: Int[Array, " n"]) -> float:
        """The metric of the sample as it is."""
        return float(self.resampled(probs, labels, np.ones((1, len(labels))))[0])


def _per_class(one: Resampled) -> Resampled:
    """Binary: of the second class. Otherwise one class against the rest, averaged over the classes that occur."""

    def metric(
        probs: Float[Array, "n C"], labels: Int[Array, " n"], counts: Float64[Array, "R n"]
    ) -> Float64[Array, " R"]:
        classes = [1] if probs.shape[1] == 2 else range(probs.shape[1])
        found = np.stack([one(probs[:, c], (labels == c).astype(np.int64), counts) for c in classes])
        defined = ~np.isnan(found)
        return _ratio(np.where(defined, found, 0.0).sum(axis=0), defined.sum(axis=0))

    return metric


def _ratio(top: Float64[Array, "*s"], bottom: Array) -> Float64[Array, "*s"]:
    """Quotient, NaN where bottom is 0."""
    quotient: Float64[Array, "*s"] = np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)
    return quotient


def _by_score(
    score: Float[Array, " n"], positive: Int[Array, " n"], counts: Float64[Array, "R n"]
) -> tuple[Float64[Array, "R g"], Float64[Array, "R g"]]:
    """Weight of the positives and of the negatives at each distinct score, lowest score first."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) > 0])
    drawn, hit = counts[:, order], positive[order] == 1
    return np.add.reduceat(drawn * hit, starts, axis=1), np.add.reduceat(drawn * ~hit, starts, axis=1)


def _auroc(
    score: Float[Array, " n"], positive: Int[Array, " n"], counts: Float64[Array, "R n"]
) -> Float64[Array, " R"]:
    """P(score of a positive > score of a negative) + P(equal) / 2 (Mann & Whitney 1947)."""
    if len(score) == 0:
        return np.full(len(counts), np.nan)
    pos, neg = _by_score(score, positive, counts)
    below = np.cumsum(neg, axis=1) - 0.5 * neg
    return _ratio((pos * below).sum(axis=1), pos.sum(axis=1) * neg.sum(axis=1))


def _auprc(
    score: Float[Array, " n"], positive: Int[Array, " n"], counts: Float64[Array, "R n"]
) -> Float64[Array, " R"]:
    """Average precision: precision at each distinct score, weighted by the recall gained there."""
    if len(score) == 0:
        return np.full(len(counts), np.nan)
    pos, neg = (side[:, ::-1] for side in _by_score(score, positive, counts))
    found = np.cumsum(pos, axis=1)
    precision = np.nan_to_num(_ratio(found, found + np.cumsum(neg, axis=1)))
    return _ratio((pos * precision).sum(axis=1), pos.sum(axis=1))


def _mean_of(loss: Callable[[Array, Array], Float64[Array, " n"]]) -> Resampled:
    def metric(
        probs: Float[Array, "n C"], labels: Int[Array, " n"], counts: Float64[Array, "R n"]
    ) -> Float64[Array, " R"]:
        return _ratio(counts @ loss(probs, labels), counts.sum(axis=1))

    return metric


def _brier_rows(probs: Float[Array, "n C"], labels: Int[Array, " n"]) -> Float64[Array, " n"]:
    """Squared error; of the second class if there are two (0 to 1), summed over classes otherwise (0 to 2)."""
    error: Float64[Array, " n"] = np.square(probs - np.eye(probs.shape[1])[labels]).sum(axis=1)
    return error / 2 if probs.shape[1] == 2 else error


def _nll_rows(probs: Float[Array, "n C"], labels: Int[Array, " n"]) -> Float64[Array, " n"]:
    chosen: Float64[Array, " n"] = probs[np.arange(len(labels)), labels]
    loss: Float64[Array, " n"] = -np.log(np.maximum(chosen, FLOOR))
    return loss


def claim(probs: Float[Array, "n C"]) -> tuple[Float64[Array, " n"], Int[Array, " n"]]:
    """What calibration is judged on: P(second class) if there are two, else P(most probable class); and that class."""
    top = np.ones(len(probs), dtype=np.int64) if probs.shape[1] == 2 else probs.argmax(axis=1)
    return probs[np.arange(len(probs)), top].astype(np.float64), top


def _bins(confidence: Float64[Array, " n"]) -> Float64[Array, "n b"]:
    """One-hot membership of equal-width bins of the probability."""
    one_hot: Float64[Array, "n b"] = np.eye(ECE_BINS)[
        np.minimum((confidence * ECE_BINS).astype(np.int64), ECE_BINS - 1)
    ]
    return one_hot


def _ece(probs: Float[Array, "n C"], labels: Int[Array, " n"], counts: Float64[Array, "R n"]) -> Float64[Array, " R"]:
    confidence, top = claim(probs)
    gap = (labels == top) - confidence
    return _ratio(np.abs(counts @ (_bins(confidence) * gap[:, None])).sum(axis=1), counts.sum(axis=1))


def _null_ece(probs: Float[Array, "n C"], counts: Float64[Array, "R n"], seed: int = 0) -> Float64[Array, " R"]:
    """Mean ECE of a perfectly calibrated model with these probabilities, for the same resamples."""
    confidence, _ = claim(probs)
    redrawn = np.random.default_rng(seed).random((REDRAWS, len(probs))) < confidence
    total = np.zeros(len(counts))
    bins = _bins(confidence)
    used = bins.any(axis=0)
    for hit in redrawn:
        total += np.abs(counts @ (bins[:, used] * (hit - confidence)[:, None])).sum(axis=1)
    return _ratio(total / REDRAWS, counts.sum(axis=1))


def _excess_ece(
    probs: Float[Array, "n C"], labels: Int[Array, " n"], counts: Float64[Array, "R n"]
) -> Float64[Array, " R"]:
    excess: Float64[Array, " R"] = _ece(probs, labels, counts) - _null_ece(probs, counts)
    return excess


auroc: Final = Metric("auroc", "AUROC", "higher", _per_class(_auroc))
"""Area under the ROC curve; one against the rest, macro, if there are more than two classes."""
auprc: Final = Metric("auprc", "AUPRC", "higher", _per_class(_auprc))
"""Average precision; macro likewise. Its floor is the share of positives, not 0.5."""
brier: Final = Metric("brier", "Brier score", "lower", _mean_of(_brier_rows))
"""Brier 1950; two classes: squared error of the second, else summed over classes."""
nll: Final = Metric("nll", "NLL", "lower", _mean_of(_nll_rows))
"""Negative log-likelihood per row, natural logarithm."""
ece: Final = Metric("ece", "ECE", "lower", _ece)
"""Expected calibration error, 15 equal-width bins, of P(second class) if there are two, else of the top class.
Biased upward in small samples: read `excess_ece` beside it."""
excess_ece: Final = Metric("excess_ece", "excess ECE", "lower", _excess_ece)
"""ECE minus its mean when labels are redrawn from the probabilities (50 redraws, fixed seed): about 0 if calibrated."""

METRICS: Final[Mapping[str, Metric]] = {m.name: m for m in (auroc, auprc, brier, nll, ece, excess_ece)}


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often prediction sets hold the truth, with its Clopper-Pearson interval.

    Attributes:
        estimate: Share of patients (each patient's rows averaged).
        low: Lower end.
        high: Upper end.
        n: Patients that count.
    """

    estimate: float
    low: float
    high: float
    n: int

    def allows(self, target: float) -> bool:
        """Whether the interval contains the promised level: the judgement of METHODS §5."""
        return self.low <= target <= self.high


def coverage(
    sets: Bool[Array, "n C"],
    labels: Int[Array, " n"],
    patients: Array | None = None,
    *,
    level: float = 0.95,
    comparisons: int = 1,
) -> Coverage:
    """Coverage of prediction sets.

    Args:
        sets: Which classes each set holds.
        labels: Class numbers.
        patients: Patient of each row; each row its own patient if None. n counts patients.
        level: Of the interval.
        comparisons: Patterns judged together; the interval is widened by Bonferroni.
    """
    if len(labels) == 0:
        return Coverage(np.nan, 0.0, 1.0, 0)
    hit = sets[np.arange(len(labels)), labels].astype(np.float64)
    if patients is not None:
        _, index = np.unique(np.asarray(patients), return_inverse=True)
        hit = np.bincount(index, hit) / np.bincount(index)
    low, high = clopper_pearson(float(hit.sum()), len(hit), level=level, comparisons=comparisons)
    return Coverage(float(hit.mean()), low, high, len(hit))


def set_size(sets: Bool[Array, "n C"]) -> float:
    """Mean number of classes in a prediction set; NaN without rows."""
    return float(sets.sum(axis=1).mean()) if len(sets) else float("nan")
