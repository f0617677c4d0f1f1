"""What a few columns score by themselves: cross-validated by patient, with an interval by patient.

In:  columns of numbers or words, one row per case; labels and patients. Out: probabilities of every case from folds
that did not hold it, over repeats, and their AUROC.

Numbers are given as ranks and as fifths, so that a bump in the middle counts too; words as levels that enough training
cases have; what is missing is a level of its own, since missing is often the shortcut. Everything, ranks and levels
included, is learnt from the training part of each fold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from numpy import ndarray as Array
from sklearn.linear_model import LogisticRegression

from clinic_mm.cohort.split import folds
from clinic_mm.errors import TaskError
from clinic_mm.evaluate.bootstrap import Interval, interval
from clinic_mm.evaluate.metrics import auroc

REPEATS: Final = 3
FOLDS: Final = 5
DRAWS: Final = 500
FEWEST_OF_LEVEL: Final = 5
MOST_LEVELS: Final = 30
FIFTHS: Final = (0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True, slots=True)
class Scored:
    """Probabilities [repeat, case, class] from folds that did not hold the case, and their AUROC by patient."""

    probs: Float[Array, "R n C"]
    auroc: Interval


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is scored: labels 0 to C − 1, the patient of each case, folds of each repeat, and the level of intervals."""

    labels: Int[Array, " n"]
    patients: Array
    fold: Int[Array, "R n"]
    level: float = 0.95

    @property
    def n_classes(self) -> int:
        """Classes."""
        return int(self.labels.max()) + 1


@dataclass(frozen=True, slots=True)
class _Numbers:
    """A column of numbers; what is missing is NaN."""

    x: Float[Array, " n"]

    def coded(self, train: Array) -> Float[Array, "n q"]:
        """Its rank, its fifths and whether it is missing, by what its training part holds."""
        x = self.x
        known = np.sort(x[train & np.isfinite(x)])
        if len(known) == 0 or known[0] == known[-1]:
            flag = np.isnan(x).astype(float)
            return flag[:, None] if 0 < flag[train].sum() < train.sum() else np.zeros((len(x), 0))
        filled = np.where(np.isfinite(x), x, (known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2)
        middle = np.searchsorted(known, filled, "left") + np.searchsorted(known, filled, "right")
        rank = 2.0 * middle / (2 * len(known)) - 1.0
        cuts = np.unique(_quantiles(known))
        fifth = np.searchsorted(cuts, filled, "right")
        steps = [fifth == step for step in range(1, len(cuts) + 1)]
        return np.column_stack([rank, *steps, np.isnan(x)]).astype(float)


@dataclass(frozen=True, slots=True)
class _Words:
    """A column of words, each as the number of its level."""

    level: Int[Array, " n"]
    n_levels: int

    def coded(self, train: Array) -> Float[Array, "n q"]:
        """One column for each level that enough of its training part has, the commonest first."""
        n = np.bincount(self.level[train], minlength=self.n_levels)
        kept = [k for k in np.argsort(-n, kind="stable")[:MOST_LEVELS] if n[k] >= FEWEST_OF_LEVEL]
        made: Array = (self.level[:, None] == np.array(kept, dtype=int)).astype(float)
        return made


_Column: TypeAlias = _Numbers | _Words


def _quantiles(known: Float[Array, " n"]) -> Float[Array, " q"]:
    """The fifths of sorted numbers; NumPy's own sort them once more, which is most of the time of an audit."""
    at = (len(known) - 1) * np.array(FIFTHS)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, len(known) - 1)
    made: Array = known[low] + (known[high] - known[low]) * (at - low)
    return made


def asked_of(labels: Int[Array, " n"], patients: Array, *, level: float = 0.95, seed: int = 0) -> Asked:
    """Folds by patient, stratified, for every repeat; fewer folds where a class is rare.

    Raises:
        TaskError: If there is but one class, or a class has fewer than two patients.
    """
    patients_of = [len(set(patients[labels == c].tolist())) for c in range(int(labels.max(initial=-1)) + 1)]
    if len(patients_of) < 2 or min(patients_of) < 2:
        raise TaskError("Fewer than two patients of a class have it", "", "Nothing to be told apart here")
    k = min(FOLDS, *patients_of)
    keys = [str(p) for p in patients]
    fold = np.stack([folds(keys, labels.tolist(), k, seed + r) for r in range(REPEATS)])
    return Asked(labels, np.asarray(patients), fold, level)


def score(columns: Mapping[str, Sequence[object] | Float[Array, " n"]], asked: Asked) -> Scored:
    """Score some columns together, each a number, a word or None per case."""
    parsed = [_parsed(values) for values in columns.values()]
    held = [_crossed(parsed, asked, fold) for fold in asked.fold]
    probs = np.stack(held)
    found = interval(auroc, probs, asked.labels, asked.patients, n=DRAWS, level=asked.level)
    return Scored(probs, found)


def best_alone(x: Float[Array, "n p"], asked: Asked) -> Scored:
    """One single column of many, chosen in the training part of each fold by its AUROC there."""
    probs = np.zeros((len(asked.fold), len(x), asked.n_classes))
    for r, fold in enumerate(asked.fold):
        for k in range(int(fold.max()) + 1):
            train, test = fold != k, fold == k
            chosen = int(np.argmax(_worth(x[train], asked.labels[train])))
            probs[r, test] = _fitted([_parsed(x[:, chosen])], asked, train, test)
    return Scored(probs, interval(auroc, probs, asked.labels, asked.patients, n=DRAWS, level=asked.level))


def _worth(x: Float[Array, "n p"], labels: Int[Array, " n"]) -> Float[Array, " p"]:
    """How far each column's AUROC lies from one half, averaged over the classes; missing counts as the median."""
    known = np.isfinite(x)
    middle = np.nanmedian(np.where(known | ~known.any(axis=0), np.where(known, x, 0.0), np.nan), axis=0)
    rank = pd.DataFrame(np.where(known, x, middle)).rank().to_numpy()
    worth = np.zeros(x.shape[1])
    classes = [1] if labels.max() == 1 else range(int(labels.max()) + 1)
    for c in classes:
        n_pos = int((labels == c).sum())
        u = rank[labels == c].sum(axis=0) - n_pos * (n_pos + 1) / 2
        worth += np.abs(u / max(n_pos * (len(x) - n_pos), 1) - 0.5)
    return worth


def _crossed(columns: Sequence[_Column], asked: Asked, fold: Int[Array, " n"]) -> Float[Array, "n C"]:
    probs = np.zeros((len(fold), asked.n_classes))
    for k in range(int(fold.max()) + 1):
        probs[fold == k] = _fitted(columns, asked, fold != k, fold == k)
    return probs


def _fitted(columns: Sequence[_Column], asked: Asked, train: Array, test: Array) -> Float[Array, "t C"]:
    x = np.hstack([column.coded(train) for column in columns])
    y = asked.labels
    if x.shape[1] == 0:
        return np.full((int(test.sum()), asked.n_classes), 1 / asked.n_classes)
    model = LogisticRegression(max_iter=2000).fit(x[train], y[train])
    return beyond_prior(model.predict_proba(x[test]), y[train])


def beyond_prior(probs: Float[Array, "t C"], y: Int[Array, " n"]) -> Float[Array, "t C"]:
    """Probabilities as if all classes were equally common.

    Each fold's base rate is a little against its own test part, which would count against whatever says nothing.
    """
    level = probs / np.bincount(y, minlength=probs.shape[1])
    made: Array = level / level.sum(axis=1, keepdims=True)
    return made


def _parsed(values: Sequence[object] | Float[Array, " n"]) -> _Column:
    """One column as it is meant: numbers where all that is given reads as one, else words."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "f" and not np.isinf(values).any():
        return _Numbers(values.astype(float))
    series = pd.Series(np.asarray(values, dtype=object))
    numbers = pd.to_numeric(series, errors="coerce").to_numpy(float)
    missing = (series.isna() | (series == "")).to_numpy()
    if (np.isfinite(numbers) | missing).all() and np.isfinite(numbers).any():
        return _Numbers(np.where(missing, np.nan, numbers))
    codes, names = pd.factorize(np.where(missing, "", series.astype(str)))
    return _Words(codes, len(names))
