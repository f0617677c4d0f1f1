"""Infer what a deep Boltzmann machine makes of the modalities that are there: mean field, Gibbs sampling, generation.

In:  a machine and what is given of some cases. Out: means or samples of all units, absent modalities included.
What stands in a row that is not here is never looked at.
"""

from functools import partial
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array

from clinic_mm.colearning.boltzmann.machine import Given, Machine, Units
from clinic_mm.colearning.boltzmann.units import Kind, bias_weight, flipped, logistic, mean_of, sample_of

SWEEPS: Final = 15
BURN: Final = 50
KEEP: Final = 100


class Means:
    """Units take their expected states."""

    def hidden(self, drive: Float[Array, "n H"]) -> Float[Array, "n H"]:
        """Of hidden units."""
        return logistic(drive)

    def visible(self, kind: Kind, drive: Float[Array, "n D"], length: Float[Array, " n"]) -> Float[Array, "n D"]:
        """Of visible units."""
        return mean_of(kind, drive, length)


class Draws(Means):
    """Units take random states."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def hidden(self, drive: Float[Array, "n H"]) -> Float[Array, "n H"]:
        """Of hidden units."""
        return flipped(logistic(drive), self.rng)

    def visible(self, kind: Kind, drive: Float[Array, "n D"], length: Float[Array, " n"]) -> Float[Array, "n D"]:
        """Of visible units."""
        return sample_of(kind, drive, length, self.rng)


class Clamp:
    """A machine with some modalities held fast; keeps what they say to the first hidden layers."""

    def __init__(self, machine: Machine, given: Given) -> None:
        self.machine = machine
        self.away: list[Int[Array, " k"]] = []
        self.visible: list[Float[Array, "n D"]] = []
        self.length: list[Float[Array, " n"]] = []
        for m, path in enumerate(machine.paths):
            here = given.here[:, m]
            v = np.where(here[:, None], given.visible[m], path.resting).astype(path.b.dtype)
            self.away.append(np.flatnonzero(~here))
            self.visible.append(v)
            self.length.append(np.where(here, v.sum(axis=1), path.length).astype(v.dtype))
        self._said = [v @ path.W1 for v, path in zip(self.visible, machine.paths, strict=True)]
        self._bias = [
            bias_weight(path.kind, length) * path.a1 for path, length in zip(machine.paths, self.length, strict=True)
        ]

    def start(self) -> Units:
        """A first guess from below: what is not there yet is stood for by counting what is twice."""
        first = [logistic(2.0 * said + bias) for said, bias in zip(self._said, self._bias, strict=True)]
        second = [logistic(2.0 * (h1 @ path.W2) + path.a2) for h1, path in zip(first, self.machine.paths, strict=True)]
        return Units([v.copy() for v in self.visible], first, second, self._joint(second, Means()))

    def even(self, units: Units, turn: Means) -> Units:
        """Absent visible layers and second layers, from the layers next to them."""
        visible = list(units.visible)
        for m, path in enumerate(self.machine.paths):
            if len(away := self.away[m]):
                visible[m] = visible[m].copy()
                drive = path.b + units.first[m][away] @ path.W1.T
                visible[m][away] = turn.visible(path.kind, drive, self.length[m][away])
        second = [
            turn.hidden(units.first[m] @ path.W2 + units.joint @ path.W3.T + path.a2)
            for m, path in enumerate(self.machine.paths)
        ]
        return Units(visible, units.first, second, units.joint)

    def odd(self, units: Units, turn: Means) -> Units:
        """First layers and the joint layer, from the layers next to them."""
        first = []
        for m, path in enumerate(self.machine.paths):
            said = self._said[m]
            if len(away := self.away[m]):
                said = said.copy()
                said[away] = units.visible[m][away] @ path.W1
            first.append(turn.hidden(said + self._bias[m] + units.second[m] @ path.W2.T))
        return Units(units.visible, first, units.second, self._joint(units.second, turn))

    def sweep(self, units: Units, turn: Means) -> Units:
        """All that is free, once."""
        return self.odd(self.even(units, turn), turn)

    def _joint(self, second: list[Float[Array, "n H2"]], turn: Means) -> Float[Array, "n H3"]:
        drive = self.machine.a3 + sum(h2 @ path.W3 for h2, path in zip(second, self.machine.paths, strict=True))
        return turn.hidden(np.asarray(drive))


def mean_field(machine: Machine, given: Given, sweeps: int = SWEEPS) -> Units:
    """Means of all units under the factorised posterior nearest to the true one, found by coordinate steps."""
    clamp = Clamp(machine, given)
    units = clamp.start()
    for _ in range(sweeps):
        units = clamp.sweep(units, Means())
    return units


def gibbs(machine: Machine, given: Given, units: Units, rng: np.random.Generator, sweeps: int = 1) -> Units:
    """Samples after some sweeps of a Markov chain that starts at `units` and leaves the posterior as it is."""
    clamp = Clamp(machine, given)
    for _ in range(sweeps):
        units = clamp.sweep(units, Draws(rng))
    return units


def generate(machine: Machine, given: Given, rng: np.random.Generator, *, burn: int = BURN, keep: int = KEEP) -> Units:
    """Expected states of all units by Gibbs sampling with what is there clamped: absent modalities are generated.

    Means given each sample's neighbours are averaged, not the samples themselves, which has less noise
    (Rao-Blackwell).
    """
    clamp, draws, means = Clamp(machine, given), Draws(rng), Means()
    units = gibbs(machine, given, clamp.start(), rng, burn)
    mean = units
    for sweep in range(1, keep + 1):
        even = clamp.even(units, means)
        units = clamp.even(units, draws)
        odd = clamp.odd(units, means)
        units = clamp.odd(units, draws)
        expected = Units(even.visible, odd.first, even.second, odd.joint)
        mean = mean.joined(expected, partial(_running, n=sweep))
    return mean


def _running(mean: Float[Array, "..."], now: Float[Array, "..."], n: int) -> Float[Array, "..."]:
    """The mean of n, from the mean of n - 1 and the n-th."""
    moved: Array = mean + (now - mean) / n
    return moved
