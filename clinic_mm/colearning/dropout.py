"""Modality dropout: which of what a case has a training step may see. The one place where subsets are drawn.

In:  who is present [B, M] and a generator. Out: who is left, never nobody where there was someone.
Sizes are uniform over what is possible: with M modalities, singles are as common as the whole (METHODS §1.3); a coin
per modality would hardly ever show either where M is large.
"""

import numpy as np
from jaxtyping import Bool
from numpy import ndarray as Array


def drawn_subset(present: Bool[Array, "b M"], generator: np.random.Generator) -> Bool[Array, "b M"]:
    """A random non-empty subset of each row, its size uniform over what is possible."""
    order = np.where(present, generator.random(present.shape), np.inf).argsort(axis=1).argsort(axis=1)
    size = np.ceil(generator.random(len(present)) * present.sum(axis=1)).astype(int)
    subset: Array = present & (order < np.maximum(size, 1)[:, None])
    return subset


def drawn_pattern(present: Bool[Array, "b M"], generator: np.random.Generator) -> Bool[Array, "b M"]:
    """One random pattern for all rows, its size uniform over 1 … M: encoders of what is dropped need not run at all.

    A row that has nothing of the pattern keeps a subset of its own.
    """
    pattern = drawn_subset(np.ones((1, present.shape[1]), bool), generator)
    own = drawn_subset(present, generator)
    kept = present & pattern
    subset: Array = np.where(kept.any(axis=1, keepdims=True), kept, own)
    return subset
