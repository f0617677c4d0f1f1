"""The montages of an EEG, each a matrix over named channels.

In:  the name of a montage, and the channels that carry a signal.
Out: names of its derivations, and a matrix [derivation, channel]; the row of a derivation whose electrodes are not
     all there is NaN.

Pure arithmetic: for prep and for viewers alike. The table is data: `schemas/eeg_montages.toml`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm import bundle
from clinic_mm.errors import TaskError

MONTAGES: Final = ("referential", "average", "cz", "banana", "transverse", "laplacian")


@dataclass(frozen=True, slots=True)
class MontageTable:
    """The policy table, ready for use."""

    electrodes: tuple[str, ...]
    labels: dict[str, str]
    pairs: dict[str, tuple[str, ...]]
    neighbours: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Montage:
    """A montage of given channels.

    Attributes:
        names: Its derivations, in the order in which they are read.
        matrix: Weights [derivation, channel]; NaN rows for derivations that cannot be had.
    """

    names: tuple[str, ...]
    matrix: Float[Array, "derivation channel"]

    @property
    def there(self) -> Array:
        """Which derivations can be had."""
        return np.asarray(np.isfinite(self.matrix).all(axis=1))

    def apply(self, volts: Float[Array, "channel sample"]) -> Float[Array, "derivation sample"]:
        """The derivations of some samples, NaN where they cannot be had."""
        out = np.full((len(self.names), volts.shape[1]), np.nan, dtype=volts.dtype)
        out[self.there] = self.matrix[self.there].astype(volts.dtype) @ volts
        return out


@cache
def montage_table() -> MontageTable:
    """Read `schemas/eeg_montages.toml` once."""
    given = bundle.policy("eeg_montages")
    return MontageTable(
        electrodes=tuple(given["electrodes"]),
        labels=dict(given["labels"]),
        pairs={name: tuple(pairs) for name, pairs in given["pairs"].items()},
        neighbours={name: tuple(near) for name, near in given["neighbours"].items()},
    )


def check_montage(name: str) -> str:
    """The name itself.

    Raises:
        TaskError: For an unknown name, with the nearest.
    """
    if name in MONTAGES:
        return name
    near = get_close_matches(name, MONTAGES, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise TaskError(f"Unknown montage {name!r}", "montage", f"{hint}Known: {', '.join(MONTAGES)}")


def derivations(name: str) -> tuple[str, ...]:
    """What a montage is made of when all 19 electrodes of the 10-20 system are there.

    Raises:
        TaskError: For an unknown montage.
    """
    return montage(name, montage_table().electrodes).names


def montage(name: str, channels: Sequence[str], bad: Collection[str] = ()) -> Montage:
    """The matrix of a montage over some channels.

    Args:
        name: One of MONTAGES.
        channels: As recorded, 10-20 names where they could be normalised. `referential` takes all of them as they
            are, `average` and `cz` keep all of them, the others take what they need by name.
        bad: Of these, those that carry no usable signal.

    Raises:
        TaskError: For an unknown montage.
    """
    return _montage(check_montage(name), tuple(channels), frozenset(bad))


@lru_cache(maxsize=512)
def _montage(name: str, channels: tuple[str, ...], bad: frozenset[str]) -> Montage:
    good = np.array([one not in bad for one in channels], dtype=bool)
    if name in {"referential", "average", "cz"}:
        return _common(name, channels, good)
    at = {one: column for column, one in reversed(list(enumerate(channels))) if good[column]}
    table = montage_table()
    if name == "laplacian":
        plans = [
            (one, {one: 1.0} | {near: -1 / len(close) for near in close}) for one, close in table.neighbours.items()
        ]
    else:
        plans = [(pair, dict(zip(pair.split("-"), (1.0, -1.0), strict=True))) for pair in table.pairs[name]]
    matrix = np.full((len(plans), len(channels)), np.nan)
    for row, (pair, weights) in enumerate(plans):
        # A file may hold a bipolar derivation itself.
        recorded = {pair: 1.0} if name != "laplacian" and pair in at else weights
        if recorded.keys() <= at.keys():
            matrix[row] = 0.0
            for electrode, weight in recorded.items():
                matrix[row, at[electrode]] = weight
    matrix.setflags(write=False)
    return Montage(tuple(one for one, _ in plans), matrix)


def _common(name: str, channels: tuple[str, ...], good: Array) -> Montage:
    """The montages with one reference for all; a bad channel is no part of it."""
    matrix = np.eye(len(channels))
    single = np.array(["-" not in one for one in channels], dtype=bool)  # a derivation has its reference already
    if name == "average" and (shared := good & single).sum() > 1:
        matrix[single] -= shared / shared.sum()
    if name == "cz":
        if "Cz" not in channels or not good[channels.index("Cz")]:
            good = good & ~single
        else:
            matrix[single, channels.index("Cz")] -= 1.0
    matrix[~good] = np.nan
    kept = [row for row, one in enumerate(channels) if name != "cz" or one != "Cz"]
    matrix = matrix[kept]
    matrix.setflags(write=False)
    return Montage(tuple(channels[row] for row in kept), matrix)
