"""Teach a model to see that something is shown the wrong way, from its own training cases and copies of them.

In:  prepared tensors of one modality, the patients they are of. Out: `predict.shown.Shown`, or None where the prep
knows no way of going wrong, or held-out copies cannot be told from the cases themselves.

A copy is made of the tensor as the prep left it, so that what is learnt is how the picture lies, not how it was made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array
from scipy.linalg import solve
from sklearn.covariance import ledoit_wolf
from sklearn.metrics import roc_auc_score

from clinic_mm.predict.shown import Shown, pose
from clinic_mm.prep.base import Mistake, Prep
from clinic_mm.signals import Signal

UPPER: Final = 0.9
UPPER_SD: Final = 1.2816
"""The upper tenth of a Gaussian begins there."""
LEAST_AUROC: Final = {False: 0.95, True: 0.75}
"""Of held-out cases against their copies, for a way that rejects, and for one that flags: below it the judge knows
nothing of that way, and says nothing."""


@dataclass(frozen=True, slots=True)
class _HeldOut:
    """Scores of cases and of copies [k, w], each from judges that saw neither, and the AUROC of each way [w]."""

    own: Float[Array, "k w"]
    wrong: Float[Array, "k w"]
    auroc: Float[Array, " w"]


@dataclass(frozen=True, slots=True)
class _Rows:
    """Poses of the cases as they are [k, p], of their copies by way, and the fold of each row."""

    own: Float[Array, "k p"]
    wrong: dict[str, Float[Array, "k p"]]
    fold: Int[Array, " k"]


def fit_shown(
    prep: Prep[Signal], x: Float[Array, "k ..."], fold: Int[Array, " k"], n: int, rate: float, *, flags: bool
) -> Shown | None:
    """Judge the ways that reject, or those that only flag.

    Args:
        prep: Knows what to look at, and how it goes wrong.
        x: Prepared tensors.
        fold: Of each row, by patient.
        n: Patients.
        rate: False alarms, all ways together.
        flags: Whether the ways that only flag are meant.
    """
    mistakes = [one for one in prep.mistakes if one.only_flag == flags]
    if not mistakes:
        return None
    rows = _rows(prep, x, fold, mistakes)
    held = _held_out(rows)
    good = np.flatnonzero(held.auroc >= LEAST_AUROC[flags])
    if not len(good):
        return None
    ways = tuple(mistakes[k].code for k in good)
    threshold = _thresholds(held.own[:, good], rate)
    middle, weights, bias = _discriminants(rows, ways, np.ones(len(fold), bool))
    caught = (held.wrong[:, good] > threshold).mean(axis=0)
    return Shown(ways, middle, weights, bias, threshold, held.auroc[good], caught, n, rate)


def told_apart(prep: Prep[Signal], x: Float[Array, "k ..."], fold: Int[Array, " k"]) -> dict[str, float]:
    """How well held-out cases and their wrong copies are told apart: the AUROC of every way, whether used or not."""
    rows = _rows(prep, x, fold, prep.mistakes)
    return dict(zip(rows.wrong, _held_out(rows).auroc.tolist(), strict=True))


def _rows(prep: Prep[Signal], x: Float[Array, "k ..."], fold: Int[Array, " k"], ways: Sequence[Mistake]) -> _Rows:
    return _Rows(pose(prep, x), {one.code: pose(prep, one.make(x)) for one in ways}, fold)


def _held_out(rows: _Rows) -> _HeldOut:
    ways = tuple(rows.wrong)
    own, wrong = np.zeros((2, len(rows.fold), len(ways)))
    for k in np.unique(rows.fold):
        held = rows.fold == k
        middle, weights, bias = _discriminants(rows, ways, ~held)
        own[held] = np.nan_to_num(rows.own[held] - middle) @ weights.T + bias
        for column, way in enumerate(ways):
            copies = np.nan_to_num(rows.wrong[way][held] - middle)
            wrong[held, column] = copies @ weights[column] + bias[column]
    auroc = [_auroc(wrong[:, k], own[:, k]) for k in range(len(ways))]
    return _HeldOut(own, wrong, np.array(auroc))


def _discriminants(
    rows: _Rows, ways: Sequence[str], kept: Array
) -> tuple[Float[Array, " p"], Float[Array, "w p"], Float[Array, " w"]]:
    """One linear discriminant for each way, with one covariance within cases and within copies, shrunk (Ledoit-Wolf).

    One covariance for all, so that the ways can be held against each other, too.
    """
    own = rows.own[kept].astype(np.float64)
    middle = np.nan_to_num(np.nanmean(np.where(np.isfinite(own).any(axis=0), own, 0.0), axis=0))
    own = np.nan_to_num(own - middle)
    groups = [own, *(np.nan_to_num(rows.wrong[way][kept] - middle) for way in ways)]
    means = np.stack([group.mean(axis=0) for group in groups])
    apart = np.concatenate([group - mean for group, mean in zip(groups, means, strict=True)])
    within, _ = ledoit_wolf(apart, assume_centered=True)
    weights = solve(within + 1e-9 * np.eye(len(within)), (means[1:] - means[0]).T, assume_a="pos").T
    return middle, weights, -(weights * (means[1:] + means[0])).sum(axis=1) / 2


def _thresholds(own: Float[Array, "k w"], rate: float) -> Float[Array, " w"]:
    """At least 0; higher where more held-out cases than the rate would pass in any way, in step for all ways.

    The steps are of each way's own spread, so that an odd case, odd in all ways, costs all of them alike.
    """
    middle = np.median(own, axis=0)
    width = np.maximum((np.quantile(own, UPPER, axis=0) - middle) / UPPER_SD, 1e-9)
    most = np.sort(((own - middle) / width).max(axis=1, where=own > 0, initial=-np.inf))
    rank = min(int(np.ceil((len(own) + 1) * (1 - rate))), len(own))
    thresholds: Array = np.maximum(middle + width * most[rank - 1], 0.0)
    return thresholds


def _auroc(high: Float[Array, " a"], low: Float[Array, " b"]) -> float:
    truth = np.repeat([1, 0], [len(high), len(low)])
    return float(roc_auc_score(truth, np.concatenate([high, low])))
