"""The multimodal deep Boltzmann machine: one path of two hidden layers per modality, and a joint layer above all.

In:  visible states of the modalities that are there. Out: what every other unit is likely to be.

    E(v, h) = sum over m of [ E_m(v, h1) - h1 W2 h2 - a2 h2 - h2 W3 h3 ] - a3 h3
    E_m     = |v - b|^2 / 2 - v W1 h1 - a1 h1      real summaries, standardised, variance 1
    E_m     = - b v - v W1 h1 - N a1 h1            counts of N words (replicated softmax)

Layers v, h2 see only layers h1, h3 and the other way round: given one half, the units of the other are independent.
So a sweep of Gibbs sampling is two draws, and a sweep of mean field is two exact coordinate steps, which never loosen
the bound on the log-likelihood.

Source: Srivastava & Salakhutdinov, "Multimodal learning with deep Boltzmann machines", NIPS 25 (2012); JMLR 15 (2014),
2949-2980; mean field after Salakhutdinov & Hinton, "Deep Boltzmann machines", AISTATS 2009 (PMLR 5:448-455).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array

from clinic_mm.colearning.boltzmann.units import Kind, bias_weight, mean_of

ARRAYS: Final = ("b", "W1", "a1", "W2", "a2", "W3")


@dataclass(frozen=True, slots=True)
class Path:
    """The layers of one modality.

    Attributes:
        kind: Of the visible units, gaussian or counts.
        length: Number of words that a text is taken to have where it is absent; 1 where nothing is counted.
        b: Visible bias.
        W1: From visible to first hidden layer.
        a1: Bias of the first hidden layer.
        W2: From first to second hidden layer.
        a2: Bias of the second hidden layer.
        W3: From second hidden layer to the joint layer.
    """

    kind: Kind
    length: float
    b: Float[Array, " D"]
    W1: Float[Array, "D H1"]
    a1: Float[Array, " H1"]
    W2: Float[Array, "H1 H2"]
    a2: Float[Array, " H2"]
    W3: Float[Array, "H2 H3"]

    @property
    def resting(self) -> Float[Array, " D"]:
        """Expected visible states where no hidden unit is on."""
        rest: Array = mean_of(self.kind, self.b[None], np.array([self.length], self.b.dtype))[0]
        return rest


@dataclass(frozen=True, slots=True)
class Given:
    """What is known of n cases.

    Attributes:
        visible: Of each path [n, D]; what stands in a row that is not here is never looked at.
        here: Which path is clamped to its visible states.
    """

    visible: tuple[Float[Array, "n D"], ...]
    here: Bool[Array, "n M"]

    def rows(self, keep: Array | slice) -> "Given":
        """Some of the cases."""
        return Given(tuple(v[keep] for v in self.visible), self.here[keep])


@dataclass(slots=True)
class Units:
    """States of all units, or their means.

    Attributes:
        visible: Of each path.
        first: First hidden layer of each path.
        second: Second hidden layer of each path.
        joint: The layer above all paths.
    """

    visible: list[Float[Array, "n D"]]
    first: list[Float[Array, "n H1"]]
    second: list[Float[Array, "n H2"]]
    joint: Float[Array, "n H3"]

    def joined(self, other: "Units", join: Callable[[Array, Array], Array]) -> "Units":
        """Two sets of states made one, array by array."""

        def each(mine: list[Array], theirs: list[Array]) -> list[Array]:
            return [join(a, b) for a, b in zip(mine, theirs, strict=True)]

        return Units(
            each(self.visible, other.visible),
            each(self.first, other.first),
            each(self.second, other.second),
            join(self.joint, other.joint),
        )


@dataclass(frozen=True, slots=True)
class Machine:
    """A deep Boltzmann machine over M paths."""

    paths: tuple[Path, ...]
    a3: Float[Array, " H3"]

    @property
    def arrays(self) -> tuple[Array, ...]:
        """All that is learnt, always in this order."""
        return (*(getattr(path, name) for path in self.paths for name in ARRAYS), self.a3)

    def energy(self, units: Units) -> Float[Array, " n"]:
        """E(v, h) of each row."""
        energy = -(units.joint @ self.a3)
        for path, v, h1, h2 in zip(self.paths, units.visible, units.first, units.second, strict=True):
            own = 0.5 * np.square(v - path.b).sum(axis=1) if path.kind == "gaussian" else -(v @ path.b)
            weight = bias_weight(path.kind, v.sum(axis=1))
            energy = energy + own - ((v @ path.W1) * h1).sum(axis=1) - (weight * h1) @ path.a1
            energy = energy - ((h1 @ path.W2) * h2).sum(axis=1) - h2 @ path.a2
            energy = energy - ((h2 @ path.W3) * units.joint).sum(axis=1)
        return np.asarray(energy)

    def statistics(self, units: Units) -> tuple[Array, ...]:
        """Mean of -dE/d(parameter) over rows, in the order of `arrays`, up to terms that no two phases differ in."""
        n, parts = len(units.joint), []
        for path, v, h1, h2 in zip(self.paths, units.visible, units.first, units.second, strict=True):
            weight = bias_weight(path.kind, v.sum(axis=1))
            parts += [v.mean(axis=0), v.T @ h1 / n, (weight * h1).mean(axis=0)]
            parts += [h1.T @ h2 / n, h2.mean(axis=0), h2.T @ units.joint / n]
        return (*parts, units.joint.mean(axis=0))
