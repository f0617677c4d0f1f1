"""Training rows with less in them, so that trees are familiar with gaps before a patient brings them (METHODS §1.3).

In:  plain summaries, the parameter that each tells of, classes and patients. Out: the rows and copies of them in which
whole parameters, or whole modalities, are gone. The same seed makes the same copies.

For trees only: boosting learns from each copy where a case without that value belongs. Ridge fills a gap with the
median, which already takes a value out of a sum.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array

from clinic_mm.colearning.dropout import drawn_subset
from clinic_mm.evaluate.missingness import drop_columns
from clinic_mm.predict.joint import SideBySide

RATES: Final = (0.3, 0.6, 0.85)
"""Shares of the parameters that are gone in the first, second and third copy."""
SUBSET_COPIES: Final = 2
"""Copies in which a random subset of the modalities is left."""
FEWEST_PARAMETERS: Final = 4
MOST_ROWS: Final = 24_000
"""No more copies than keep all rows within this."""


class Rows(NamedTuple):
    """Rows and their copies. All copies of a case together count as much as the case as it is."""

    x: Float[Array, "r p"]
    y: Int[Array, " r"]
    groups: Array
    weight: Float[Array, " r"]
    copies: int


def familiar(x: Float[Array, "n p"], y: Int[Array, " n"], groups: Array, codes: Sequence[str], seed: int) -> Rows:
    """Rows of one modality and their copies with parameters gone; the rows alone where it has few parameters.

    Args:
        x: Plain summaries.
        y: Classes.
        groups: Patient of each row: copies stay with their patient in any split.
        codes: Parameter of each column, from `prep.gaps.parameters`; empty where the kind has none.
        seed: Of what goes.
    """
    if len(set(codes)) < FEWEST_PARAMETERS:
        return _together([x], y, groups)
    return _together([x, *(drop_columns(x, rate, seed + i, parameter=codes) for i, rate in _rates(len(x)))], y, groups)


def familiar_side_by_side(
    beside: SideBySide, present: Array, y: Int[Array, " n"], groups: Array, codes: Sequence[str], seed: int
) -> Rows:
    """The same for all modalities side by side, with copies in which whole modalities are gone too.

    Args:
        beside: Summaries of all modalities.
        present: Which modality each case has.
        y: Classes.
        groups: Patients.
        codes: Parameter of each summary, "" for what is no parameter and never goes alone.
        seed: Of what goes.
    """
    every = np.arange(len(y))
    copies = [beside.of(every, present)]
    own = np.array([code or f"column {i}" for i, code in enumerate(codes)], dtype=object)
    may_go = np.array([bool(code) for code in codes])
    for i, rate in _rates(len(y)) if len({c for c in codes if c}) >= FEWEST_PARAMETERS else ():
        dropped = drop_columns(beside.summaries, rate, seed + i, parameter=own.tolist())
        left = np.where(may_go, dropped, beside.summaries)
        copies.append(SideBySide(left, beside.owner).of(every, present & _has_any(left, beside.owner, present)))
    generator = np.random.default_rng(seed)
    for _ in range(SUBSET_COPIES if present.sum(axis=1).max(initial=0) > 1 and len(y) * 6 <= MOST_ROWS else 0):
        copies.append(beside.of(every, drawn_subset(present, generator)))
    return _together(copies, y, groups)


def _rates(n: int) -> list[tuple[int, float]]:
    fitting = min(len(RATES), max(0, MOST_ROWS // max(n, 1) - 1))
    return list(enumerate(RATES[::-1][:fitting]))


def _has_any(summaries: Array, owner: Array, present: Array) -> Array:
    """Which modality still says something."""
    finite = np.isfinite(summaries)
    return np.stack([finite[:, owner == m].any(axis=1) for m in range(present.shape[1])], axis=1)


def _together(copies: list[Array], y: Array, groups: Array) -> Rows:
    k, n = len(copies), len(y)
    weight = np.concatenate([np.ones(n), np.full((k - 1) * n, 1.0 / max(k - 1, 1))])
    return Rows(np.concatenate(copies), np.tile(y, k), np.tile(groups, k), weight, k)
