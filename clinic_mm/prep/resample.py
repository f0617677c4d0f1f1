"""Resize images and volumes by one small matrix per axis: antialiased, exact for constants, and as fast as memory is.

In:  an array of one, two or three axes. Out: float32 of the asked shape.
The kernel is the triangle of linear interpolation, widened by the reduction factor so that nothing aliases. Each output
is a mix of a few neighbours only, so the matrices are sparse, and a large array is read once, in the order it lies in.
"""

import math
from functools import lru_cache

import numpy as np
from numpy import ndarray as Array
from scipy.sparse import csr_array


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
    given = np.asarray(array, dtype=np.float32)
    by_stride = tuple(int(axis) for axis in np.argsort(given.strides, kind="stable")[::-1])
    out = np.ascontiguousarray(given.transpose(by_stride))
    wanted = [shape[axis] for axis in by_stride]
    for axis in sorted(range(out.ndim), key=lambda a: wanted[a] / out.shape[a]):
        if out.shape[axis] != wanted[axis]:
            out = _along(out, axis, wanted[axis])
    return np.ascontiguousarray(out.transpose(np.argsort(by_stride)), dtype=np.float32)


def _along(array: Array, axis: int, n_out: int) -> Array:
    """Resize one axis of a contiguous array."""
    n_in, before, after = array.shape[axis], array.shape[:axis], array.shape[axis + 1 :]
    if not after:
        return np.asarray(array @ axis_weights(n_in, n_out).T)
    out = np.empty((*before, n_out, *after), np.float32)
    each = (math.prod(before), n_in, math.prod(after))
    for target, one in zip(out.reshape(each[0], n_out, each[2]), array.reshape(each), strict=True):
        target[...] = _sparse_weights(n_in, n_out) @ one
    return out


@lru_cache(maxsize=256)
def _sparse_weights(n_in: int, n_out: int) -> csr_array:
    return csr_array(axis_weights(n_in, n_out))
