"""Cross-fit the experts: each fold's chain judges only cases that it has not seen. Only probabilities cross folds.

In:  prepared training cases, the fold of each. Out: out-of-fold opinions by every way of judging, what each fold's
networks said of all cases (for the residual of that fold), and the way that wins for each modality.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array

from clinic_mm.encoders.base import Encoder
from clinic_mm.encoders.run import Spoken, run_encoder
from clinic_mm.predict.experts import HOWS, How, judge, present_plain
from clinic_mm.predict.heads import Head
from clinic_mm.prep.batch import PreparedCases, Recipe
from clinic_mm.prep.gaps import parameters
from clinic_mm.task import Task
from clinic_mm.training.encode import train_encoder
from clinic_mm.training.gaps import familiar
from clinic_mm.training.heads import fit_prior, fit_ridge, fit_trees
from clinic_mm.training.resume_heads import kept_head

TREES_UP_TO: Final = 512
"""Features up to which boosted trees are tried: beyond (hashed words) they are slow and ridge wins."""
TREES_FROM: Final = 90
"""Rows from which on trees are tried: with leaves of 20 rows and two thirds to fit on, fewer rows hardly split at all,
and what cannot split says the prior, which would win wherever ridge is too sure of itself."""
FEWEST_FOR_NETWORK: Final = 24
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class CrossFitted:
    """Out-of-fold opinions of one modality.

    Attributes:
        opinions: For each way of judging, probabilities of the present rows, each from a chain that did not see it.
        nll: Mean out-of-fold NLL of each way.
        spoken: For each fold what its network said of all present rows; empty without networks.
    """

    opinions: dict[How, Float[Array, "k C"]]
    nll: dict[How, float]
    spoken: tuple[Spoken, ...]

    @property
    def best(self) -> How:
        """The way of judging with the least out-of-fold NLL; the simpler one on a tie."""
        return min(self.nll, key=lambda how: (round(self.nll[how], 6), HOWS.index(how)))


def cross_fit(
    prepared: PreparedCases, recipe: Recipe, name: str, fold: Int[Array, " n"], task: Task, say: Say
) -> CrossFitted:
    """Cross-fit every way of judging one modality."""
    present = prepared.present[:, prepared.names.index(name)]
    y, groups, mine = prepared.labels[present], prepared.patients[present], fold[present]
    plain, codes = present_plain(prepared, name), parameters(recipe.preps[name])
    opinions: dict[How, Array] = {}
    spoken = []
    for k in range(task.folds):
        say(f"{name}: fold {k + 1} of {task.folds}")
        fit = mine != k
        encoder = encoder_without(k, prepared, name, fold, task)
        if encoder is not None:
            spoken.append(run_encoder(encoder, prepared.x[name]))
        for how in ways(len(y), plain.shape[1], encoder is not None):
            said = spoken[-1] if encoder is not None else None
            head = fit_how(how, plain[fit], _rows(said, fit), y[fit], groups[fit], task, codes)
            into = opinions.setdefault(how, np.zeros((len(y), len(task.classes))))
            into[~fit] = judge(how, head, plain[~fit], _rows(said, ~fit))
    nll = {how: float(-np.log(np.maximum(p[np.arange(len(y)), y], 1e-9)).mean()) for how, p in opinions.items()}
    return CrossFitted(opinions, nll, tuple(spoken))


def encoder_without(k: int, prepared: PreparedCases, name: str, fold: Int[Array, " n"], task: Task) -> Encoder | None:
    """The network of fold k's chain; None in every fold where one of them has too few cases for one."""
    present = prepared.present[:, prepared.names.index(name)]
    mine = fold[present]
    if min((mine != other).sum() for other in range(task.folds)) < FEWEST_FOR_NETWORK:
        return None
    fit = mine != k
    y, groups = prepared.labels[present][fit], prepared.patients[present][fit]
    return fit_encoder(prepared.x[name][fit], y, groups, name, task, seed=task.seed + k)


def ways(n_rows: int, n_features: int, network: bool) -> tuple[How, ...]:
    """Which ways of judging are tried."""
    few, many = n_rows < TREES_FROM, n_features > TREES_UP_TO
    left_out = {"plain trees"} if many else set()
    left_out |= {"plain trees", "learned trees"} if few else set()
    return tuple(h for h in HOWS if (network or h.startswith("plain")) and h not in left_out)


def fit_encoder(
    x: Float[Array, "n ..."], y: Int[Array, " n"], groups: Array, name: str, task: Task, *, seed: int
) -> Encoder | None:
    """The modality's network, None where the task wants none or there are too few cases to fit one."""
    if task.train.epochs == 0 or len(x) < FEWEST_FOR_NETWORK:
        return None
    n_classes = len(task.classes)
    kind = task.kind_of(name)
    return train_encoder(kind, x, y, n_classes, size=task.size, budget=task.train, seed=seed, groups=groups)


def fit_how(
    how: How,
    plain: Float[Array, "n p"],
    said: Spoken | None,
    y: Int[Array, " n"],
    groups: Array,
    task: Task,
    codes: Sequence[str] = (),
) -> Head | None:
    """The head of one way of judging; None for the network's own opinion, the prior where a class has no case.

    `codes`: the parameter of each plain summary, see `training.gaps`.
    """
    if how == "network":
        return None
    if how.startswith("plain"):
        x = plain
    else:
        assert said is not None
        x = said.summary.numpy()
    things = (x, y, groups, codes, task.seed, len(task.classes))
    return kept_head(f"{how} head", lambda: _fit_head(how, x, y, groups, task, codes), *things)


def _fit_head(
    how: How, x: Float[Array, "n p"], y: Int[Array, " n"], groups: Array, task: Task, codes: Sequence[str]
) -> Head:
    n_classes = len(task.classes)
    if len(np.unique(y)) < n_classes or x.shape[1] == 0:
        return fit_prior(x, y, n_classes, seed=task.seed, groups=groups)
    if how.endswith("ridge"):
        return fit_ridge(x, y, n_classes, seed=task.seed, groups=groups)
    rows = familiar(x, y, groups, codes if how == "plain trees" else (), task.seed)
    return fit_trees(
        rows.x, rows.y, n_classes, seed=task.seed, groups=rows.groups, weight=rows.weight, copies=rows.copies
    )


def _rows(said: Spoken | None, keep: Array) -> Spoken | None:
    return None if said is None else Spoken(said.tokens[keep], said.summary[keep], said.logits[keep])
