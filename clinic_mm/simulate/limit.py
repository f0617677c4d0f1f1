"""The best AUC that any model can reach on a simulated cohort, for every subset of its modalities.

In:  a `World`. Out: a `Limit`, which `limit.json` holds.

MCAR without synergy: exact. With D² = Σ δ² over the subset, Φ(D / √2); a note counts by its rendered symbols, and
the AUC is then a sum over pairs of levels. Otherwise: the AUC of the generator's own P(y | v_S, pattern), from
draws weighted by how probable the pattern is for each, so that rare patterns are as well known as common ones.
"""

from typing import Final, Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from scipy.special import ndtr

from clinic_mm.simulate.latent import (
    DELTAS,
    NOTE_VALUES,
    PREVALENCE,
    Draws,
    Missing,
    World,
    draw,
    note_probability,
)
from clinic_mm.types import SCHEMA_VERSION, Frozen

DRAWS: Final = 1_000_000
DRAWS_SMALL: Final = 200_000
SMALL_COHORT: Final = 1_000
"""Cohorts of fewer cases than this get the smaller number of draws; the file states which."""

LIMIT_STREAM: Final = 2**31
"""Spawn key of the limit's own draws, which no case number reaches."""


class PatternLimit(Frozen):
    """What is known of one availability pattern.

    Attributes:
        modalities: The pattern, names sorted.
        auc_limit: Best possible AUC among cases of exactly this pattern, from what is rendered.
        auc_latent: Φ(√(Σδ²)/√2), the closed form with e itself; None where it does not hold.
        share: Expected share of the cohort with this pattern.
    """

    modalities: tuple[str, ...]
    auc_limit: float
    auc_latent: float | None
    share: float


class Limit(Frozen):
    """`limit.json`: the figures that no model can beat but by luck."""

    schema_version: str = SCHEMA_VERSION
    simulated: Literal[True] = True
    seed: int
    cases: int
    modalities: tuple[str, ...]
    prevalence: float
    deltas: dict[str, float]
    missing: Missing
    rate: float
    anchor: str | None
    never_empty: str = "a case with nothing is drawn again, label and all"
    synergy: bool
    synergy_pair: tuple[str, str] | None
    method: Literal["exact", "draws"]
    draws: int
    auc_limit: float
    patterns: tuple[PatternLimit, ...]

    def of(self, pattern: tuple[str, ...]) -> float:
        """Best possible AUC of one pattern; names in any order. KeyError if it is not one of this cohort."""
        return {row.modalities: row.auc_limit for row in self.patterns}[tuple(sorted(pattern))]


def limit_of(world: World, *, seed: int, cases: int) -> Limit:
    """Compute the limit of a world for a cohort of `cases`.

    `auc_limit` of the whole is that of P(y | v_S, pattern) over all patterns together, always from draws.
    """
    count = DRAWS if cases >= SMALL_COHORT else DRAWS_SMALL
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(LIMIT_STREAM,)))
    draws = draw(world, rng, count)
    exact = world.missing == "MCAR" and not world.synergy
    some = draws.present.any(axis=1)
    native = Draws(draws.y[some], draws.e[some], draws.v[some], draws.present[some])
    return Limit(
        seed=seed,
        cases=cases,
        modalities=world.modalities,
        prevalence=PREVALENCE,
        deltas={m: DELTAS[m] for m in world.modalities},
        missing=world.missing,
        rate=world.rate,
        anchor=world.modalities[world.anchor] if world.missing == "MAR" else None,
        synergy=world.synergy,
        synergy_pair=(world.modalities[0], world.modalities[1]) if world.synergy else None,
        method="exact" if exact else "draws",
        draws=count,
        auc_limit=round(auc(log_odds(world, native.v, native.present), native.y), 6),
        patterns=_pattern_limits(world, draws, exact=exact),
    )


def _pattern_limits(world: World, draws: Draws, *, exact: bool) -> tuple[PatternLimit, ...]:
    columns = np.arange(len(world.modalities))
    generator = Generator(world, draws.v)
    total = 1.0 - float(generator.pattern_probability(()).mean())
    rows = []
    for S in world.subsets():
        share = generator.pattern_probability(S)
        if not share.any():
            continue  # a rate of 0 leaves only the full pattern
        present = np.isin(columns, S)[:, None]
        best = exact_auc(world, S) if exact else auc(generator.log_odds(present), draws.y, share)
        rows.append(
            PatternLimit(
                modalities=tuple(sorted(world.modalities[m] for m in S)),
                auc_limit=round(best, 6),
                auc_latent=round(latent_auc(world, S), 6) if exact else None,
                share=round(float(share.mean()) / total, 6),
            )
        )
    return tuple(rows)


def latent_auc(world: World, S: tuple[int, ...]) -> float:
    """Φ(√(Σδ²)/√2): two normals of unit variance per modality, distance D between the classes."""
    return float(ndtr(np.sqrt((world.deltas[list(S)] ** 2).sum() / 2)))


def exact_auc(world: World, S: tuple[int, ...]) -> float:
    """The same for what is rendered: a note's 13 levels, summed over all pairs of a positive and a negative case."""
    note = [m for m in S if world.modalities[m] == "note"]
    if not note:
        return latent_auc(world, S)
    D2 = float((world.deltas[[m for m in S if m not in note]] ** 2).sum())
    half = world.deltas[note[0]] / 2
    negative, positive = note_probability(np.array([-half, half]))
    ratio = np.log(positive / negative)
    gap = D2 + ratio[:, None] - ratio[None, :]
    wins = ndtr(gap / np.sqrt(2 * D2)) if D2 else (np.sign(np.round(gap, 12)) + 1) / 2
    return float(positive @ wins @ negative)


class Generator:
    """The generator's own view of n cases: their odds and the probability of each pattern.

    Args:
        world: What governed the draws.
        v: Values of all modalities, absent ones too.
    """

    def __init__(self, world: World, v: Float[Array, "n M"]) -> None:
        self.world = world
        self.coins = (-1, 1) if world.synergy else (1,)
        self.seen = [[_log_seen(world, v, y, s) for s in self.coins] for y in (0, 1)]
        self.unseen = [[_log_absent(world, y, s) for s in self.coins] for y in (0, 1)]
        self.absence = {anchored: world.absence(v, anchored).T for anchored in (False, True)}

    def pattern_probability(self, S: tuple[int, ...]) -> Float[Array, " n"]:
        """Probability that each case shows exactly the modalities S."""
        absent = self.absence[self.world.anchor in S]
        factors = [1 - absent[m] if m in S else absent[m] for m in range(len(absent))]
        return np.asarray(np.prod(factors, axis=0))

    def log_odds(self, present: Bool[Array, "M n"] | Bool[Array, "M 1"]) -> Float[Array, " n"]:
        """Log-odds of the label: log P(y=1 | v_S, pattern) − log P(y=0 | v_S, pattern).

        What is absent speaks only under MNAR, by how probable absence is in each class; a MAR or MCAR mask and
        the presence of a value that is seen cancel out.
        """
        log_p = [np.logaddexp.reduce([self._joint(present, y, c) for c in range(len(self.coins))]) for y in (0, 1)]
        return np.asarray(np.log(PREVALENCE / (1 - PREVALENCE)) + log_p[1] - log_p[0])

    def _joint(self, present: Bool[Array, "M n"] | Bool[Array, "M 1"], y: int, coin: int) -> Float[Array, " n"]:
        """Log-density of what is seen given label and coin, up to a constant."""
        total: Float[Array, " n"] = np.zeros(self.seen[y][coin].shape[1])
        for mask, seen, unseen in zip(present, self.seen[y][coin], self.unseen[y][coin], strict=True):
            if mask.all():
                total = total + seen
            elif mask.any():
                total = total + np.where(mask, seen, unseen)
            else:
                total = total + unseen
        return total


def log_odds(world: World, v: Float[Array, "n M"], present: Bool[Array, "n M"]) -> Float[Array, " n"]:
    """The best possible score of each case: the generator's log-odds given what is present."""
    return Generator(world, v).log_odds(present.T)


def _log_seen(world: World, v: Float[Array, "n M"], y: int, s: int) -> Float[Array, "M n"]:
    mean = world.mean(np.array(y), np.array(s))
    return np.stack(
        [
            _log_note(v[:, m], mean[m]) if name == "note" else -((v[:, m] - mean[m]) ** 2) / 2
            for m, name in enumerate(world.modalities)
        ]
    )


def _log_note(v: Float[Array, " n"], mean: float) -> Float[Array, " n"]:
    level = np.rint((v - NOTE_VALUES[0]) / (NOTE_VALUES[1] - NOTE_VALUES[0])).astype(np.int64)
    return np.asarray(np.log(note_probability(np.array(mean)))[level])


def _log_absent(world: World, y: int, s: int) -> Float[Array, " M"]:
    """Log-probability of absence of each modality given label and coin; 0 where it says nothing."""
    M = len(world.modalities)
    if world.missing != "MNAR" or world.rate == 0.0:
        return np.zeros(M)
    coin = (s + 1) // 2
    chance = [
        world.absence(np.repeat(v[y, coin][:, None], M, axis=1), True)[:, m] for m, (v, _) in enumerate(world.support)
    ]
    return np.array([np.log(p[y, coin] @ c) for (_, p), c in zip(world.support, chance, strict=True)])


def auc(score: Float[Array, " n"], y: Int[Array, " n"], weight: Float[Array, " n"] | None = None) -> float:
    """Area under the ROC curve with case weights; ties count half (Mann-Whitney)."""
    weight = np.ones(len(score)) if weight is None else weight
    order = np.argsort(score)
    ranked, mass, positive = score[order], weight[order], y[order] == 1
    first = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    up = np.add.reduceat(mass * positive, first)
    down = np.add.reduceat(mass * ~positive, first)
    return float((up * (np.cumsum(down) - down / 2)).sum() / (up.sum() * down.sum()))
