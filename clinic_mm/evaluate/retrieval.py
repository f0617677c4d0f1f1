"""How well a shared space finds what belongs together: R@k, MAP and the median rank, each beside its chance level.

In:  vectors of queries and of a gallery, and which gallery entries count as right for each query.
Out: figures with intervals by bootstrap over the queries' patients, and what a random order would give, in closed form.

A query without a right entry is left out and counted. Equal similarities are put in random order, so that a space that
says the same of everybody scores chance. An entry that must not be ranked for a query (the query's own patient, where
the same diagnosis is asked) is left out of that query's gallery.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from numpy import ndarray as Array
from scipy.special import gammaln

from clinic_mm.evaluate.bootstrap import DRAWS, draw_counts, percentile

KS: Final = (1, 5, 10)


@dataclass(frozen=True, slots=True)
class Ranked:
    """What was found for each query that has something right.

    Attributes:
        first: Rank of the first right entry, from 1.
        precision: Average precision over the right entries.
        right: How many entries are right.
        size: How many entries were ranked.
        query: Which of the queries these are.
    """

    first: Int[Array, " q"]
    precision: Float64[Array, " q"]
    right: Int[Array, " q"]
    size: Int[Array, " q"]
    query: Int[Array, " q"]


@dataclass(frozen=True, slots=True)
class Found:
    """One figure beside chance.

    Attributes:
        name: `R@1`, `MAP`, `median rank`.
        value: Over all queries that have something right.
        low: Lower end of the interval by patient.
        high: Upper end.
        chance: The same figure for a random order.
    """

    name: str
    value: float
    low: float
    high: float
    chance: float


def ranked(
    queries: Float[Array, "q d"],
    gallery: Float[Array, "g d"],
    right: Bool[Array, "q g"],
    allowed: Bool[Array, "q g"] | None = None,
    seed: int = 0,
) -> Ranked:
    """Rank the gallery for each query by cosine similarity (vectors come at unit length).

    Args:
        queries: One vector per query.
        gallery: One vector per entry.
        right: What counts.
        allowed: What is ranked at all; everything where None.
        seed: Of the order of equals.
    """
    allowed = np.ones_like(right) if allowed is None else allowed
    right = right & allowed
    asked = np.flatnonzero(right.any(axis=1))
    # Rounded: rows that say the same differ in the last bits by where they stand in the product.
    near = np.where(allowed[asked], np.round(queries[asked] @ gallery.T, 9), -np.inf)
    order = np.lexsort((np.random.default_rng(seed).random(near.shape), -near), axis=1)
    hit = np.take_along_axis(right[asked], order, axis=1)
    at_rank = np.cumsum(hit, axis=1) / np.arange(1, hit.shape[1] + 1)
    n_right = hit.sum(axis=1)
    precision = (at_rank * hit).sum(axis=1) / n_right
    return Ranked(hit.argmax(axis=1) + 1, precision, n_right, allowed[asked].sum(axis=1), asked)


def together(parts: Sequence[Ranked], starts: Sequence[int]) -> Ranked:
    """Blocks of queries as one.

    Args:
        parts: From `ranked`.
        starts: The number of the first query of each block.
    """
    return Ranked(
        first=np.concatenate([part.first for part in parts]),
        precision=np.concatenate([part.precision for part in parts]),
        right=np.concatenate([part.right for part in parts]),
        size=np.concatenate([part.size for part in parts]),
        query=np.concatenate([part.query + start for part, start in zip(parts, starts, strict=True)]),
    )


def scores(found: Ranked, patients: Array, *, n: int = DRAWS, seed: int = 0, level: float = 0.95) -> list[Found]:
    """R@1, R@5, R@10, MAP and the median rank of the first right entry.

    R@k is the share of queries with something right among the first k.

    Args:
        found: From `ranked`.
        patients: Patient of each query, as the queries were given.
        n: Bootstrap draws.
        seed: Of the draws.
        level: Of the intervals.
    """
    _, index = np.unique(np.asarray(patients)[found.query], return_inverse=True)
    if not len(index):
        return []
    each = {f"R@{k}": ((found.first <= k).astype(float), chance_recall(found, k)) for k in KS}
    each["MAP"] = (found.precision, chance_precision(found))
    counts = np.concatenate(list(draw_counts(index, index.max() + 1, n=n, seed=seed)))
    told = []
    for name, (value, chance) in each.items():
        drawn = counts @ value / np.maximum(counts.sum(axis=1), 1)
        told.append(Found(name, float(value.mean()), *percentile(drawn, level), float(chance.mean())))
    medians = np.array([_weighted_median(found.first, row) for row in counts])
    median = float(np.median(found.first))
    return [*told, Found("median rank", median, *percentile(medians, level), chance_median(found))]


def chance_recall(found: Ranked, k: int) -> Float64[Array, " q"]:
    """P(something right among k drawn of the gallery without replacement): 1 - C(g - m, k) / C(g, k)."""
    wrong, size = found.size - found.right, found.size
    k_of = np.minimum(k, size)
    with np.errstate(invalid="ignore"):
        log_none = gammaln(wrong + 1) - gammaln(wrong - k_of + 1) - gammaln(size + 1) + gammaln(size - k_of + 1)
    chance: Array = 1.0 - np.where(wrong >= k_of, np.exp(log_none), 0.0)
    return chance


def chance_precision(found: Ranked) -> Float64[Array, " q"]:
    """Mean average precision of a random order of g entries, m of them right.

    The entry at rank k is right with probability m / g, and of the k - 1 before it a share (m - 1) / (g - 1) is right
    then. Summed over the ranks: (H_g + (m - 1) / (g - 1) (g - H_g)) / g, with H_g the harmonic number.
    """
    size = found.size.astype(float)
    harmonic = np.cumsum(1.0 / np.arange(1, found.size.max() + 1))[found.size - 1]
    share = (found.right - 1) / np.maximum(size - 1, 1)
    chance: Array = (harmonic + share * (size - harmonic)) / size
    return chance


def chance_median(found: Ranked) -> float:
    """Least rank by which a random order has found something right for half of the queries."""
    low, high = 1, int(found.size.max())
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if chance_recall(found, middle).mean() >= 0.5 else (middle + 1, high)
    return float(low)


def _weighted_median(values: Int[Array, " q"], counts: Float64[Array, " q"]) -> float:
    order = np.argsort(values, kind="stable")
    total = np.cumsum(counts[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])
