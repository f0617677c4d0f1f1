"""What each present modality adds to the calibrated answer, alone and together with each other (METHODS §2.5).

In:  v(S), the calibrated log-odds, for subsets S of what a case has; many cases of one pattern at a time.
Out: Shapley shares, which sum to v(all) - v(none); and what each pair says beyond its two parts.

Up to 8 modalities all subsets are asked, and shares are one product with a table of weights. Beyond, they are the mean
over drawn orders, with its standard error, and what is stored is v of the whole, of all but one, and of nothing.

Pairs take the Shapley-Taylor index of order 2, since it adds up with the shares that people see: a share is what its
modality says alone plus half of each of its pairs, and parts alone plus pairs sum to v(all) - v(none). The Shapley
interaction index (Grabisch & Roubens 1999, doi:10.1007/s001820050125) has neither property. A negative pair of two that
point the same way says that they tell partly the same.

Source: Shapley 1953; Sundararajan, Dhamdhere & Agarwal 2020, arXiv 1902.05622, eq. 4 (order 2); orders drawn with their
reverse, Mitchell et al. 2022, arXiv 2104.12199.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from numpy import ndarray as Array

from clinic_mm.fusion.pool import subsets

EXACT_UP_TO: Final = 8
ORDERS: Final = 64
"""Orders drawn beyond that, half of them the reverse of the other half."""
FLOOR: Final = 1e-9
"""Probabilities are kept this far from 0 before the logarithm."""


class Shares(NamedTuple):
    """What the modalities of n cases add.

    Attributes:
        share: Of each present modality [n, m].
        error: Standard error of a share that was sampled [n, m]; 0 where it is exact.
        pair: Shapley-Taylor index of each pair, in the order of `itertools.combinations` [n, m(m-1)/2]; no columns
            where shares were sampled.
    """

    share: Float64[Array, "n m"]
    error: Float64[Array, "n m"]
    pair: Float64[Array, "n q"]


@dataclass(frozen=True, slots=True)
class Game:
    """What is asked of every case that has the same modalities.

    Attributes:
        names: Of those modalities, in the order of their columns.
        masks: Subsets to ask for: the whole first, nothing last.
        kept: Which of them a Prediction stores.
        keys: Names of the stored subsets, sorted and joined by "+".
    """

    names: tuple[str, ...]
    masks: Bool[Array, "k M"]
    kept: Int[Array, " s"]
    keys: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """Whether all subsets are asked for."""
        return len(self.names) <= EXACT_UP_TO

    @property
    def pairs(self) -> tuple[str, ...]:
        """Names of the pairs as `Shares.pair` has them, sorted and joined by "+"."""
        return tuple("+".join(sorted(two)) for two in combinations(self.names, 2)) if self.exact else ()

    def shares(self, values: Float[Array, "n k"]) -> Shares:
        """Shares of n cases from v of every mask."""
        return exact_shares(values) if self.exact else _sampled(values, len(self.names))


def game_of(names: Sequence[str], present: Bool[Array, " M"]) -> Game:
    """What to ask of a pattern; of nothing only v(none)."""
    columns = np.flatnonzero(present)
    m = len(columns)
    bits = _all_bits(m) if m <= EXACT_UP_TO else _drawn(m).bits
    masks = np.zeros((len(bits), len(present)), dtype=bool)
    masks[:, columns] = bits
    kept = np.arange(len(bits)) if m <= EXACT_UP_TO else np.r_[: m + 1, len(bits) - 1]
    keys = tuple("+".join(sorted(names[int(c)] for c in np.flatnonzero(masks[k]))) for k in kept)
    return Game(tuple(names[int(c)] for c in columns), masks, kept, keys)


def exact_shares(values: Float[Array, "n k"]) -> Shares:
    """Shares from v of all 2^m subsets: those of `fusion.pool.subsets`, then the empty one."""
    m = int(np.log2(values.shape[1]))
    one, two = _weights(m)
    share = values @ one
    return Shares(share, np.zeros_like(share), values @ two)


def worth(probabilities: Float[Array, "n k C"], toward: Int[Array, " n"]) -> Float64[Array, "n k"]:
    """v(S) from probabilities: log-odds of the second class, or the centred log-probability of the class `toward`."""
    logs = np.log(np.clip(probabilities, FLOOR, 1.0))
    if probabilities.shape[2] == 2:
        odds: Array = logs[:, :, 1] - logs[:, :, 0]
        return odds
    own = np.take_along_axis(logs, toward[:, None, None], axis=2)[:, :, 0]
    centred: Array = own - logs.mean(axis=2)
    return centred


@lru_cache(maxsize=EXACT_UP_TO + 1)
def _all_bits(m: int) -> Bool[Array, "k m"]:
    """All subsets of m, the whole first and nothing last."""
    some = subsets(np.ones(m, bool)) if m else np.zeros((0, 0), bool)
    return np.vstack([some, np.zeros((1, m), bool)])


@lru_cache(maxsize=EXACT_UP_TO + 1)
def _weights(m: int) -> tuple[Float64[Array, "k m"], Float64[Array, "k q"]]:
    """What each v(S) counts in each share and in each pair.

    Share of i: sum over S without i of s! (m - s - 1)! / m! (v(S + i) - v(S)), where s!(m-s-1)!/m! = 1 / (m C(m-1, s)).
    Pair i, j:  sum over S without both of 2 / (m C(m-1, s)) (v(S + i + j) - v(S + i) - v(S + j) + v(S)).
    """
    bits = _all_bits(m)
    size = bits.sum(axis=1)
    # By the number of others in S: a subset with i has one less of them than members, one with both has two less.
    weight = np.array([1.0 / (m * comb(m - 1, s)) for s in range(m)])
    one, two = np.zeros((len(bits), m)), np.zeros((len(bits), comb(m, 2)))
    for i, has in enumerate(bits.T):
        one[:, i] = np.where(has, 1.0, -1.0) * weight[size - has]
    for q, (i, j) in enumerate(combinations(range(m), 2)):
        sign = np.where(bits[:, i] == bits[:, j], 2.0, -2.0)
        two[:, q] = sign * weight[size - bits[:, i] - bits[:, j]]
    return one, two


class _Drawn(NamedTuple):
    """Orders in which m modalities join, and the subsets that they pass."""

    bits: Bool[Array, "k m"]
    order: Int[Array, "orders m"]
    at: Int[Array, "orders steps"]
    """Place in `bits` after each step, the first being nothing."""


@lru_cache(maxsize=32)
def _drawn(m: int, seed: int = 0) -> _Drawn:
    """The same orders for every case: whole, all but one, what else the orders pass, nothing."""
    generator = np.random.default_rng(seed)
    half = np.stack([generator.permutation(m) for _ in range(ORDERS // 2)])
    order = np.concatenate([half, half[:, ::-1]])
    place = np.argsort(order, axis=1)
    passed = place[:, None, :] < np.arange(m + 1)[None, :, None]
    first = np.vstack([np.ones((1, m), bool), ~np.eye(m, dtype=bool)])
    known = {row.tobytes(): k for k, row in enumerate(first)}
    between = [row for row in np.unique(passed.reshape(-1, m), axis=0) if row.any() and row.tobytes() not in known]
    bits = np.vstack([first, *between, np.zeros((1, m), bool)])
    number = {row.tobytes(): k for k, row in enumerate(bits)}
    at = np.array([[number[step.tobytes()] for step in steps] for steps in passed])
    return _Drawn(bits, order, at)


def _sampled(values: Float[Array, "n k"], m: int) -> Shares:
    """Means over the drawn orders; an order and its reverse are one draw, which is what the error counts."""
    drawn = _drawn(m)
    gains = np.diff(values[:, drawn.at], axis=2)
    joined = np.zeros_like(gains)
    np.put_along_axis(joined, np.broadcast_to(drawn.order, gains.shape), gains, axis=2)
    draws = (joined[:, : ORDERS // 2] + joined[:, ORDERS // 2 :]) / 2
    error = draws.std(axis=1, ddof=1) / np.sqrt(draws.shape[1])
    return Shares(draws.mean(axis=1), error, np.zeros((len(values), 0)))
