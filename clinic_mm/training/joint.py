"""Cross-fit the head over everything side by side, and find how much of the answer it deserves.

In:  training cases with their folds, second-level rows, the cross-fitted pool's logits of those rows.
Out: the baseline `concat` out of fold, what it says of every subset row, and its share of the answer: a number in
[0, 1], above 0 only where the out-of-fold NLL falls by more than one standard error.

    logits_S = (1 - share) * pool_S + share * log p_joint(x_S)

One number for all subsets: a share per pattern would be fitted on too few patients to be worth it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array

from clinic_mm.predict.heads import Head
from clinic_mm.predict.joint import SideBySide, mixed, side_by_side
from clinic_mm.prep.batch import PreparedCases, Recipe
from clinic_mm.prep.gaps import parameters
from clinic_mm.task import Task
from clinic_mm.training.crossfit import TREES_FROM, TREES_UP_TO
from clinic_mm.training.gaps import familiar_side_by_side
from clinic_mm.training.heads import fit_ridge, fit_trees
from clinic_mm.training.resume_heads import kept_head
from clinic_mm.training.secondlevel import Table, Verdict, judged

SHARES: Final = (0.25, 0.5, 0.75, 1.0)
MOST_MODALITIES: Final = 8


@dataclass(frozen=True, slots=True)
class CrossJoint:
    """The cross-fitted head.

    Attributes:
        head: Fitted on all cases, to deploy.
        oof: Out-of-fold probabilities of each case with all that it has.
        logits: Out-of-fold log-probabilities of each second-level row.
    """

    head: Head
    oof: Float[Array, "n C"]
    logits: Float[Array, "r C"]


Fit = Callable[[Int[Array, " k"]], Head]


def cross_joint(prepared: PreparedCases, recipe: Recipe, table: Table, task: Task) -> CrossJoint:
    """Ridge or trees, by the out-of-fold NLL of the cases as they are."""
    beside = side_by_side(prepared.plain, prepared.names)
    trees = len(prepared) >= TREES_FROM and beside.summaries.shape[1] + len(prepared.names) <= TREES_UP_TO
    fits = (_ridge(beside, table, task), *([_trees(beside, recipe, table, task)] if trees else []))
    fits = tuple(_kept(fit, beside, recipe, table, task) for fit in fits)
    tried = [_crossed(fit, beside, table) for fit in fits]
    n = np.arange(len(table.labels))
    nll = [-np.log(np.maximum(oof[n, table.labels], 1e-9)).mean() for _, oof in tried]
    best = int(np.argmin(nll))
    heads, oof = tried[best]
    logits = np.zeros((len(table.rows.case), len(task.classes)))
    for k, head in enumerate(heads):
        held = table.fold[table.rows.case] == k
        logits[held] = beside.logits(head, table.rows.case[held], table.rows.present[held])
    return CrossJoint(fits[best](n), oof, logits)


def best_share(table: Table, pool: Float[Array, "r C"], joint: Float[Array, "r C"]) -> tuple[float, Verdict]:
    """The share with the most gain over the pool alone; 0 where the gain is within one standard error.

    Beyond 8 modalities subsets are sampled, and a head on all of them at once is not taken in.
    """
    verdicts = [judged(table, pool, mixed(pool, joint, share)) for share in SHARES]
    best = int(np.argmax([v.gain for v in verdicts]))
    kept = verdicts[best].kept and 1 < len(table.names) <= MOST_MODALITIES
    return (SHARES[best] if kept else 0.0), verdicts[best]


def _ridge(beside: SideBySide, table: Table, task: Task) -> Fit:
    x = beside.of(np.arange(len(table.labels)), table.present)

    def fit(cases: Int[Array, " k"]) -> Head:
        y, patients = table.labels[cases], table.patients[cases]
        return fit_ridge(x[cases], y, len(task.classes), seed=task.seed, groups=patients)

    return fit


def _trees(beside: SideBySide, recipe: Recipe, table: Table, task: Task) -> Fit:
    codes = [code for prep in recipe.preps.values() for code in parameters(prep) or [""] * len(prep.plain_names)]

    def fit(cases: Int[Array, " k"]) -> Head:
        some, y, patients = (
            SideBySide(beside.summaries[cases], beside.owner),
            table.labels[cases],
            table.patients[cases],
        )
        rows = familiar_side_by_side(some, table.present[cases], y, patients, codes, task.seed)
        return fit_trees(
            rows.x,
            rows.y,
            len(task.classes),
            seed=task.seed,
            groups=rows.groups,
            weight=rows.weight,
            copies=rows.copies,
        )

    return fit


def _kept(fit: Fit, beside: SideBySide, recipe: Recipe, table: Table, task: Task) -> Fit:
    """The same, taken again where an earlier run has fitted it."""
    keys = [prep.key for prep in recipe.preps.values()]
    told = (fit.__qualname__, keys, beside, table.present, table.labels, table.patients, task.seed, len(task.classes))
    return lambda cases: kept_head("side by side head", lambda: fit(cases), *told, cases)


def _crossed(fit: Fit, beside: SideBySide, table: Table) -> tuple[list[Head], Float[Array, "n C"]]:
    """The head of each fold, and out-of-fold probabilities."""
    oof = np.zeros((len(table.labels), len(table.prior)))
    heads = []
    for k in range(table.fold.max() + 1):
        held = np.flatnonzero(table.fold == k)
        heads.append(fit(np.flatnonzero(table.fold != k)))
        oof[held] = heads[-1].predict(beside.of(held, table.present[held]))
    return heads, oof
