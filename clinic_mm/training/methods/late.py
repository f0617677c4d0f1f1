"""Fit the ways of joining that look at opinions alone, on opinions out of fold.

In:  a lesson. Out: a `Joined` of `fusion.late`. Opinions of a case come from experts that did not see it: on the cases
that it was fitted on, the expert that learns by heart looks the best.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array
from pydantic import JsonValue
from scipy.optimize import minimize

from clinic_mm.cohort.split import UNLABELLED, folds
from clinic_mm.fusion.late import Pooled, Vote, Weighted
from clinic_mm.fusion.pool import FLOOR
from clinic_mm.training.methods.base import Lesson
from clinic_mm.training.pool import subset_rows
from clinic_mm.training.secondlevel import Table, crossfit_pool

WEIGHT_SD: Final = 1.0
"""How far the logarithms of the weights may spread, a priori."""
Settings = Mapping[str, JsonValue]


def average(lesson: Lesson, settings: Settings) -> Weighted:
    """Equal weights: nothing is fitted."""
    del settings
    return _weighted(lesson, np.ones(len(lesson.heard.names)))


def prior(lesson: Lesson, settings: Settings) -> Weighted:
    """No weights: everybody gets the prior."""
    del settings
    return _weighted(lesson, np.zeros(len(lesson.heard.names)))


def best_single(lesson: Lesson, settings: Settings) -> Weighted:
    """The one modality with the least out-of-fold NLL over all cases, the prior standing in where it is absent."""
    del settings
    table = second_level(lesson)
    p = np.where(table.present, _of_truth(table), table.prior[table.labels][:, None])
    nll = -np.log(np.maximum(p, FLOOR)).mean(axis=0)
    return _weighted(lesson, np.eye(len(table.names))[nll.argmin()])


def weighted(lesson: Lesson, settings: Settings) -> Weighted:
    """Weights with the least NLL over all subsets, shrunk toward equal ones; they sum to 1."""
    del settings
    table = second_level(lesson)
    rows = table.rows
    p = np.maximum(_of_truth(table)[rows.case], FLOOR)

    def loss(log_weights: Float[Array, " M"]) -> tuple[float, Float[Array, " M"]]:
        weight = np.exp(log_weights - log_weights.max()) * rows.present
        said, total = weight * p, weight.sum(axis=1, keepdims=True)
        mean = said.sum(axis=1, keepdims=True)
        nll = -(rows.weight * np.log(mean / total)[:, 0]).sum()
        gradient = (rows.weight[:, None] * (weight / total - said / mean)).sum(axis=0)
        return nll + (log_weights**2).sum() / (2 * WEIGHT_SD**2), gradient + log_weights / WEIGHT_SD**2

    found = np.exp(minimize(loss, np.zeros(len(table.names)), jac=True, method="L-BFGS-B").x)
    return _weighted(lesson, found / found.sum())


def vote(lesson: Lesson, settings: Settings) -> Vote:
    """Nothing is fitted."""
    del settings
    return Vote(lesson.heard.names, lesson.prior)


def log_pool(lesson: Lesson, settings: Settings) -> Pooled:
    """The default model's pool, its freedom chosen by folds of the rows given; unfitted where there can be none."""
    del settings
    table = second_level(lesson)
    several = table.fold.max(initial=0) > 0
    freedom = crossfit_pool(table).freedom if several else 0.0
    return Pooled(table.names, table.prior, table.pool_without(None, freedom))


def second_level(lesson: Lesson) -> Table:
    """The labelled cases that may be learnt from, by all their subsets, in folds by patient of their own.

    All in one fold where a class has too few patients for more.
    """
    rows = labelled(lesson)
    heard, y, patients = lesson.heard, lesson.labels[rows], lesson.patients[rows]
    fewest = min(len(np.unique(patients[y == c])) for c in range(len(lesson.prior)))
    k = min(lesson.task.folds, fewest)
    fold = folds(patients.tolist(), y.tolist(), k, lesson.seed) if k > 1 else np.zeros(len(y), dtype=np.int64)
    present = heard.present[rows]
    return Table(heard.names, lesson.prior, heard.opinions[rows], present, y, patients, fold, subset_rows(present))


def labelled(lesson: Lesson) -> Array:
    """Rows that have a label."""
    rows: Array = lesson.rows[lesson.labels[lesson.rows] != UNLABELLED]
    return rows


def _of_truth(table: Table) -> Float[Array, "n M"]:
    """What each expert gave the true class."""
    p: Array = table.opinions[np.arange(len(table.labels)), :, table.labels]
    return p


def _weighted(lesson: Lesson, weights: Float[Array, " M"]) -> Weighted:
    return Weighted(lesson.heard.names, lesson.prior, weights)
