"""A simulated cohort without files: what oracle readers would say of the rendered evidence, and the real second level.

In:  a world, a seed, n; or a way of being missing and a seed. Out: a fitted second level and calibrated answers to any
cases and subsets.

Each modality has one summary: the value that would be rendered, plus noise of 0.33 SD, the most that the renderers of
`simulate` may add. Experts are cross-fitted ridge heads on it; pool, temperatures and folds are those of training. What
is left out of training: trees, networks, the head over everything side by side, the residual.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array

from clinic_mm.cohort.split import folds
from clinic_mm.fusion.pool import LogPool
from clinic_mm.predict.calibrate import Temperatures
from clinic_mm.predict.heads import Head
from clinic_mm.simulate.latent import World, draw
from clinic_mm.training.heads import fit_ridge
from clinic_mm.training.pool import subset_rows
from clinic_mm.training.secondlevel import Table, crossfit_pool, crossfit_temperatures
from clinic_mm.training.thresholds import Rows

NOISE_SD: Final = 0.33
FOLDS: Final = 3
TRAIN, TEST = 2000, 20_000
COHORTS_KEPT: Final = 20
"""In memory, for the next part of a benchmark."""
Mechanism = Literal["MCAR", "MAR", "MNAR"]


@dataclass(frozen=True, slots=True)
class Cases:
    """Cases that have something: summaries, presence, labels."""

    x: Float[Array, "n M"]
    present: Bool[Array, "n M"]
    y: Int[Array, " n"]

    def only(self, keep: Array) -> "Cases":
        """Some of them."""
        return Cases(self.x[keep], self.present[keep], self.y[keep])


@dataclass(frozen=True, slots=True)
class SecondLevel:
    """What one cohort gave: deployed experts, pool and temperatures, and out-of-fold answers to all training rows."""

    heads: tuple[Head, ...]
    pool: LogPool
    temperatures: Temperatures
    table: Table
    probabilities: Float[Array, "r 2"]

    @property
    def rows(self) -> Rows:
        """As thresholds are fitted on them."""
        return self.table.answered(self.probabilities)

    def opinions(self, cases: Cases) -> Float[Array, "n M 2"]:
        """What each expert says of each case; the prior where its modality is absent."""
        opinions = np.tile(self.pool.prior, (*cases.present.shape, 1))
        for m, head in enumerate(self.heads):
            here = cases.present[:, m]
            opinions[here, m] = head.predict(cases.x[here][:, [m]])
        return opinions

    def answers(self, cases: Cases, present: Bool[Array, "n M"] | None = None) -> Float[Array, "n 2"]:
        """Calibrated answers to new cases, with all that they have or masked down."""
        asked = cases.present if present is None else present
        return self.temperatures.probabilities(self.pool.logits(self.opinions(cases), asked), asked, cases.present)


def drawn(world: World, seed: int, n: int) -> Cases:
    """New cases; one with nothing is drawn again."""
    rng = np.random.default_rng(seed)
    cases = draw(world, rng, int(1.2 * n) + 100)
    kept = np.flatnonzero(cases.present.any(axis=1))[:n]
    noise = NOISE_SD * rng.standard_normal((len(kept), len(world.modalities)))
    return Cases(cases.v[kept] + noise, cases.present[kept], cases.y[kept])


def second_level(world: World, cases: Cases, seed: int) -> SecondLevel:
    """Experts, pool and temperatures as training fits them."""
    names, y = world.modalities, cases.y
    patients = np.array([f"p{index:06d}" for index in range(len(y))])
    fold = folds(patients.tolist(), y.tolist(), FOLDS, seed)
    prior = (np.bincount(y, minlength=2) + 0.5) / (len(y) + 1.0)
    opinions = np.tile(prior, (len(y), len(names), 1))
    heads = []
    for m in range(len(names)):
        here = cases.present[:, m]
        for k in range(FOLDS):
            fit, held = here & (fold != k), here & (fold == k)
            head = fit_ridge(cases.x[fit][:, [m]], y[fit], 2, seed=seed, groups=patients[fit])
            opinions[held, m] = head.predict(cases.x[held][:, [m]])
        heads.append(fit_ridge(cases.x[here][:, [m]], y[here], 2, seed=seed, groups=patients[here]))
    table = Table(names, prior, opinions, cases.present, y, patients, fold, subset_rows(cases.present))
    pooled = crossfit_pool(table)
    temperatures, probabilities = crossfit_temperatures(table, pooled.logits)
    return SecondLevel(tuple(heads), table.pool_without(None, pooled.freedom), temperatures, table, probabilities)


@lru_cache(maxsize=COHORTS_KEPT)
def cohort_of(mechanism: Mechanism, seed: int, n_test: int = TEST) -> tuple[SecondLevel, Cases]:
    """The second level of one training cohort, and new cases."""
    world = World(missing=mechanism)
    train, test = drawn(world, 2 * seed, TRAIN), drawn(world, 2 * seed + 1, n_test)
    return second_level(world, train, seed), test


def masked(cases: Cases, seed: int) -> tuple[Cases, Bool[Array, "n M"]]:
    """Cases that lose something when each modality is taken with probability 0.4, and what is left to them."""
    kept = cases.present & (np.random.default_rng(seed).random(cases.present.shape) < 0.6)
    some = np.flatnonzero(kept.any(axis=1) & (kept != cases.present).any(axis=1))
    return cases.only(some), kept[some]
