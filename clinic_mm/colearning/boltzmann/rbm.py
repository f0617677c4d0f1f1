"""Restricted Boltzmann machines with Gaussian, counted or binary visible units, learnt by contrastive divergence.

In:  visible states [n, D]. Out: weights whose hidden probabilities describe them.

    gaussian  E(v, h) = |v - b|^2 / 2 - v W h - a h
    counts    E(v, h) = - b v - v W h - N a h,  N = number of words (replicated softmax)
    binary    E(v, h) = - b v - v W h - a h

Source: Hinton 2002 (doi:10.1162/089976602760128018) for contrastive divergence; Salakhutdinov & Hinton 2009,
"Replicated softmax: an undirected topic model" (NIPS 22) for counts; Salakhutdinov & Hinton 2009, "Deep Boltzmann
machines" (AISTATS, PMLR 5:448-455) for weights that count twice while a layer of a deep machine is learnt alone.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm.colearning.boltzmann.adam import Adam, batches
from clinic_mm.colearning.boltzmann.units import Kind, bias_weight, flipped, logistic, mean_of, sample_of

SMALL: Final = 0.01
BATCH: Final = 100
WORD: Final = 1e-3
"""Stands for a word or a state never seen, so that its logarithm is finite."""


@dataclass(frozen=True, slots=True)
class Rbm:
    """One layer.

    Attributes:
        kind: Of the visible units.
        b: Visible bias.
        W: Weights.
        a: Hidden bias.
        up: How often the weights count from visible to hidden: 2 stands for the layer above that is not there yet.
        down: The same from hidden to visible.
    """

    kind: Kind
    b: Float[Array, " D"]
    W: Float[Array, "D H"]
    a: Float[Array, " H"]
    up: float = 1.0
    down: float = 1.0

    def energy(self, v: Float[Array, "n D"], h: Float[Array, "n H"], length: Float[Array, " n"]) -> Float[Array, " n"]:
        """E(v, h), weights counted once."""
        hidden = bias_weight(self.kind, length) * h @ self.a
        energy: Array = self._visible_energy(v) - ((v @ self.W) * h).sum(axis=1) - hidden
        return energy

    def free_energy(self, v: Float[Array, "n D"], length: Float[Array, " n"]) -> Float[Array, " n"]:
        """-log sum over h of exp(-E(v, h))."""
        drive = v @ self.W + bias_weight(self.kind, length) * self.a
        free: Array = self._visible_energy(v) - np.logaddexp(0.0, drive).sum(axis=1)
        return free

    def hidden(self, v: Float[Array, "n D"], length: Float[Array, " n"]) -> Float[Array, "n H"]:
        """P(h = 1 | v)."""
        return logistic(self.up * (v @ self.W) + bias_weight(self.kind, length) * self.a)

    def visible_drive(self, h: Float[Array, "n H"]) -> Float[Array, "n D"]:
        """What drives the visible units."""
        drive: Array = self.b + self.down * (h @ self.W.T)
        return drive

    def _visible_energy(self, v: Float[Array, "n D"]) -> Float[Array, " n"]:
        own: Array = 0.5 * np.square(v - self.b).sum(axis=1) if self.kind == "gaussian" else -(v @ self.b)
        return own


def fit_rbm(
    kind: Kind,
    v: Float[Array, "n D"],
    length: Float[Array, " n"],
    hidden: int,
    *,
    epochs: int,
    rate: float,
    rng: np.random.Generator,
    up: float = 1.0,
    down: float = 1.0,
    k: int = 1,
) -> Rbm:
    """Learn by CD-k with Adam, in the type of `v`.

    Args:
        kind: Of the visible units; probabilities may stand for binary ones.
        v: Visible states.
        length: Words of each row; looked at for counts only.
        hidden: Number of hidden units.
        epochs: Rounds over the rows.
        rate: First learning rate; it falls to 0 in a straight line.
        rng: Of weights, batches and samples.
        up: See `Rbm`.
        down: See `Rbm`.
        k: Gibbs steps of the negative phase.
    """
    W = (SMALL * rng.standard_normal((v.shape[1], hidden))).astype(v.dtype)
    layer = Rbm(kind, first_bias(kind, v), W, np.zeros(hidden, v.dtype), up, down)
    words = float(length.mean()) if kind == "counts" else 1.0
    adam = Adam((layer.b, layer.W, layer.a), layer_rates(rate, words), epochs * -(-len(v) // BATCH))
    for rows in batches(len(v), BATCH, epochs, rng):
        adam.step(_contrast(layer, v[rows], length[rows], k, rng))
    return layer


def layer_rates(rate: float, words: float) -> tuple[float, float, float]:
    """Rates of visible bias, weights and hidden bias: slower where many words drive a hidden unit all at once."""
    return rate, rate / max(words, 1.0) ** 0.5, rate / max(words, 1.0)


def first_bias(kind: Kind, v: Float[Array, "n D"]) -> Float[Array, " D"]:
    """The visible bias at which units without neighbours have the mean of these states."""
    mean: Array = v.mean(axis=0)
    if kind == "gaussian":
        return mean
    if kind == "counts":
        share = (mean + WORD) / (mean + WORD).sum()
        return np.asarray(np.log(share), v.dtype)
    odds = np.clip(mean, WORD, 1.0 - WORD)
    return np.asarray(np.log(odds / (1.0 - odds)), v.dtype)


def _contrast(
    layer: Rbm, v: Float[Array, "b D"], length: Float[Array, " b"], k: int, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """What the data say minus what the layer makes of them in k steps, per row."""
    seen = layer.hidden(v, length)
    dreamt, h = v, seen
    for step in range(k):
        drive = layer.visible_drive(flipped(h, rng))
        last = step == k - 1
        dreamt = mean_of(layer.kind, drive, length) if last else sample_of(layer.kind, drive, length, rng)
        h = layer.hidden(dreamt, length)
    weight = bias_weight(layer.kind, length)
    return (
        (v - dreamt).mean(axis=0),
        (v.T @ seen - dreamt.T @ h) / len(v),
        (weight * (seen - h)).mean(axis=0),
    )
