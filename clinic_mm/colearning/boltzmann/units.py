"""The kinds of units of a Boltzmann machine: their means and samples given what drives them.

In:  drive [n, D] (bias + weights times the neighbours' states). Out: mean or sample of the units.

    gaussian  real numbers, standardised, variance 1:        mean = drive
    counts    how often each of D words occurs in N words:   mean = N softmax(drive), a multinomial draw
    binary    0 or 1:                                        mean = 1 / (1 + exp(-drive))
"""

from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

Kind = Literal["gaussian", "counts", "binary"]


def logistic(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """1 / (1 + exp(-x)) without overflow, in the type of x."""
    half: Array = np.tanh(0.5 * x)
    half += 1.0
    half *= 0.5
    return half


def mean_of(kind: Kind, drive: Float[Array, "n D"], length: Float[Array, " n"]) -> Float[Array, "n D"]:
    """Expected state; `length` is the number of words of each row and looked at for counts only."""
    if kind == "gaussian":
        return drive
    if kind == "binary":
        return logistic(drive)
    grown = np.exp(drive - drive.max(axis=1, keepdims=True))
    words: Array = grown * (length / grown.sum(axis=1))[:, None]
    return words


def sample_of(
    kind: Kind, drive: Float[Array, "n D"], length: Float[Array, " n"], rng: np.random.Generator
) -> Float[Array, "n D"]:
    """A random state, in the type of the drive."""
    mean = mean_of(kind, drive, length)
    if kind == "gaussian":
        noisy: Array = mean + rng.standard_normal(mean.shape, dtype=np.float32).astype(mean.dtype)
        return noisy
    if kind == "binary":
        return flipped(mean, rng)
    shares = mean.astype(np.float64)
    shares /= shares.sum(axis=1, keepdims=True)
    return rng.multinomial(np.rint(length).astype(np.int64), shares).astype(mean.dtype)


def flipped(mean: Float[Array, "*s"], rng: np.random.Generator) -> Float[Array, "*s"]:
    """1 with the given probability, else 0."""
    drawn: Array = (rng.random(mean.shape, dtype=np.float32) < mean).astype(mean.dtype)
    return drawn


def bias_weight(kind: Kind, length: Float[Array, " n"]) -> Float[Array, "n 1"]:
    """How often the hidden bias counts: once per word where words are counted (replicated softmax), else once."""
    return (length if kind == "counts" else np.ones_like(length))[:, None]
