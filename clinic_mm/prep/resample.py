"""Resize images and volumes by one small matrix per axis: antialiased, exact for constants, and as fast as BLAS.

In:  an array of one, two or three axes. Out: float32 of the asked shape.
The kernel is the triangle of linear interpolation, widened by the reduction factor so that nothing aliases.
"""

from functools import lru_cache

import numpy as np
from numpy import ndarray as Array


@lru_cache(maxsize=256)
def axis_weights(n_in: int, n_out: int) -> Array:
    """Row-stochastic matrix [n_out, n_in] that resizes one axis; cell centres are aligned (not corners).

    Source: P. Heckbert, "Fundamentals of texture mapping and image warping", 1989 (triangle prefilter).
    """
    scale = n_in / n_out
    reach = max(scale, 1.0)
    centre = (np.arange(n_out) + 0.5) * scale - 0.5
    weights = np.clip(1.0 - np.abs(np.arange(n_in)[None, :] - centre[:, None]) / reach, 0.0, None)
    normed: Array = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    normed.setflags(write=False)
    return normed


def resize(array: Array, shape: tuple[int, ...]) -> Array:
    """Resize every axis of `array` to `shape`; the axis that shrinks most goes first."""
    out = np.asarray(array, dtype=np.float32)
    for axis in sorted(range(out.ndim), key=lambda a: shape[a] / out.shape[a]):
        if out.shape[axis] != shape[axis]:
            out = np.moveaxis(np.tensordot(axis_weights(out.shape[axis], shape[axis]), out, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(out, dtype=np.float32)
