"""Find pairs of nearly equal vectors among many, without comparing all with all.

In:  one vector per thing, and who it is of. Out: the pairs of different owners whose cosine is high enough.

Few vectors are compared all with all, exactly. Many are put into buckets by the signs of random projections of their
whitened principal components (Charikar 2002, doi:10.1145/509907.509965), in several tables; only those that share a
bucket are compared. A bucket that is too full (all alike) is compared along one line only, so that the work stays
near n log n whatever the data. What is returned was always compared in full.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Float32, Int
from numpy import ndarray as Array

EXACT_TO: Final = 4000
"""Vectors up to which all are compared with all: a second on one core."""
TABLES: Final = 24
COMPONENTS: Final = 24
FULL: Final = 48
"""Vectors in a bucket from which on only neighbours along one line are compared."""
NEIGHBOURS: Final = 24
FITTED_ON: Final = 20_000
ROWS: Final = 512
PAIRS: Final = 200_000


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of rows, the first below the second, and their cosine."""

    first: Int[Array, " k"]
    second: Int[Array, " k"]
    cosine: Float[Array, " k"]

    def __len__(self) -> int:
        return len(self.first)


def near_pairs(
    vectors: Float[Array, "n d"], owners: Array, *, at_least: float, seed: int = 0, exact_to: int = EXACT_TO
) -> Pairs:
    """Pairs of vectors of different owners with a cosine of at least `at_least`, most alike first.

    Args:
        vectors: Any scale; a vector of zeros is like nothing.
        owners: Whose each is; pairs of one owner are left out.
        at_least: Least cosine, well above 0.
        seed: Of the projections.
        exact_to: Vectors up to which nothing is left to chance.
    """
    unit = _unit(vectors)
    _, owner = np.unique(np.asarray(owners), return_inverse=True)
    candidates = _all(unit, at_least) if len(unit) <= exact_to else _bucketed(unit, seed)
    found = [_judged(unit, owner, pair, at_least) for pair in candidates]
    codes = np.unique(np.concatenate([first * len(unit) + second for first, second in found] or [np.zeros(0, int)]))
    first, second = codes // max(len(unit), 1), codes % max(len(unit), 1)
    cosine = np.einsum("kd,kd->k", unit[first], unit[second])
    order = np.argsort(-cosine, kind="stable")
    return Pairs(first[order], second[order], cosine[order])


def _unit(vectors: Float[Array, "n d"]) -> Float32[Array, "n d"]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Array = np.divide(vectors, length, out=np.zeros(vectors.shape), where=length > 0).astype(np.float32)
    return unit


def _judged(
    unit: Float32[Array, "n d"], owner: Int[Array, " n"], pair: tuple[Array, Array], at_least: float
) -> tuple[Array, Array]:
    """Candidates that hold: of two owners, and near enough."""
    first, second = np.minimum(*pair), np.maximum(*pair)
    apart = owner[first] != owner[second]
    first, second = first[apart], second[apart]
    keep = [
        np.einsum("kd,kd->k", unit[first[at : at + PAIRS]], unit[second[at : at + PAIRS]]) >= at_least
        for at in range(0, len(first), PAIRS)
    ]
    kept = np.concatenate(keep) if keep else np.zeros(0, dtype=bool)
    return first[kept], second[kept]


def _all(unit: Float32[Array, "n d"], at_least: float) -> Iterator[tuple[Array, Array]]:
    for start in range(0, len(unit), ROWS):
        first, second = np.nonzero(unit[start : start + ROWS] @ unit.T >= at_least - 1e-4)
        keep = first + start < second
        yield first[keep] + start, second[keep]


def _bucketed(unit: Float32[Array, "n d"], seed: int) -> Iterator[tuple[Array, Array]]:
    """Pairs that share a bucket of any table."""
    rng = np.random.default_rng(seed)
    spread = _whitened(unit, rng)
    bits = int(np.clip(np.ceil(np.log2(len(unit))) - 2, 8, 24))
    places = 1 << np.arange(bits, dtype=np.int64)
    for _ in range(TABLES):
        planes = rng.standard_normal((spread.shape[1], bits)).astype(np.float32)
        yield from _within((spread @ planes > 0) @ places, spread[:, 0])


def _whitened(unit: Float32[Array, "n d"], rng: np.random.Generator) -> Float32[Array, "n c"]:
    """Leading principal components, each of spread 1: so that buckets are filled evenly, however alike all are."""
    some = unit[rng.choice(len(unit), min(len(unit), FITTED_ON), replace=False)]
    centre = some.mean(axis=0)
    centred = some - centre
    values, axes = np.linalg.eigh((centred.T @ centred / len(some)).astype(np.float64))
    kept = np.argsort(-values)[: min(COMPONENTS, unit.shape[1])]
    scale = np.sqrt(np.maximum(values[kept], 1e-12))
    made: Array = ((unit - centre) @ (axes[:, kept] / scale)).astype(np.float32)
    return made


def _within(bucket: Int[Array, " n"], line: Float32[Array, " n"]) -> Iterator[tuple[Array, Array]]:
    """Pairs of the same bucket: all of a small one, neighbours along `line` of a full one."""
    order = np.lexsort((line, bucket))
    sizes = np.unique(bucket[order], return_counts=True)[1]
    place = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    size = np.repeat(sizes, sizes)
    reach = np.where(size <= FULL, size, NEIGHBOURS)
    for step in range(1, int(max(FULL, NEIGHBOURS))):
        here = np.flatnonzero((place + step < size) & (step < reach))
        if len(here) == 0:
            return
        yield order[here], order[here + step]
