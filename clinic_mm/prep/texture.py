"""Plain summaries that images share: grey-value shares, quantiles, and how blob-like they are at some scales.

In:  an image or volume. Out: short float32 vectors with their names. Learns nothing.
Blob response: scale-normalised difference of Gaussians (Lindeberg, doi:10.1023/A:1008045108935).
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray as Array
from scipy import ndimage
from torch import Tensor

from clinic_mm.prep.base import quantiles, widened

LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
BLOB_LEVELS = (0.99, 0.999, 1.0)
LEAST_ROUGHNESS = 0.004
"""One grey of 256: below it there is nothing to tell apart."""
BAND_ROWS = 24
Band = tuple[slice, slice, Float32[Array, "row column"]]


def shares(values: Array, edges: Array) -> Array:
    """Share of values in each bin; values outside the edges count in the outermost bins."""
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), bins=edges)
    return (counts / max(values.size, 1)).astype(np.float32)


def smoothed(image: Array, sigma: float, truncate: float = 3.0) -> Array:
    """Gaussian of `sigma` samples along each axis, edges mirrored: `scipy.ndimage.gaussian_filter` by matrices.

    Several times faster on the grids of the preps. The matrix is zero but for a band, so it goes in bands of rows.
    """
    for axis, length in enumerate(image.shape):
        flat = image.reshape(math.prod(image.shape[:axis]), length, -1)
        out = np.empty(flat.shape, np.float32)
        for rows, near, weights in _gaussian(length, sigma, truncate):
            if flat.shape[2] == 1:
                np.matmul(flat[:, near, 0], weights.T, out=out[:, rows, 0])
            else:
                np.matmul(weights, flat[:, near], out=out[:, rows])
        image = out.reshape(image.shape)
    return image


@lru_cache(maxsize=64)
def _gaussian(length: int, sigma: float, truncate: float) -> tuple[Band, ...]:
    """What a filter makes of each single sample: bands of rows, and the columns that are not zero in them."""
    every = ndimage.gaussian_filter1d(np.eye(length), sigma, axis=0, truncate=truncate).astype(np.float32)
    radius = int(truncate * sigma + 0.5)  # as scipy has it
    bands = []
    for start in range(0, length, BAND_ROWS):
        rows = slice(start, min(start + BAND_ROWS, length))
        near = slice(max(start - radius, 0), min(rows.stop + radius, length))
        bands.append((rows, near, np.ascontiguousarray(every[rows, near])))
    return tuple(bands)


def filled(mask: Array) -> Array:
    """A mask without holes: `scipy.ndimage.binary_fill_holes`, in half of the time."""
    regions, count = ndimage.label(~mask)
    around = np.zeros(count + 1, bool)
    for axis in range(mask.ndim):
        around[regions.take((0, -1), axis)] = True
    around[0] = False
    return np.asarray(~around[regions])


def blob_response(image: Array, sigma: float) -> Array:
    """Difference of Gaussians at `sigma` and 1.6 `sigma` (in samples): high inside bright blobs of that size."""
    response: Array = smoothed(image, sigma) - smoothed(image, 1.6 * sigma)
    return response


def blob_summaries(image: Array, places: Sequence[Array], sigmas: tuple[float, ...]) -> Array:
    """Quantiles of the blob response inside each mask, mask by mask, for each scale."""
    responses = [blob_response(image, s) for s in sigmas]
    return np.concatenate([quantiles(response[where], BLOB_LEVELS) for where in places for response in responses])


def blob_names(place: str, sigmas: tuple[float, ...]) -> tuple[str, ...]:
    """Names that go with one mask of `blob_summaries`."""
    return tuple(f"blob {place} s{s:g} q{q:g}" for s in sigmas for q in BLOB_LEVELS)


def thumbnails(x: Array, side: int) -> Array:
    """Images or volumes [n, 1, ...] as means over a coarse grid of `side` places along each axis, [n, place].

    What a length that `side` does not divide leaves over, at the end, is not looked at. One at a time: a picture
    stays in the processor's cache, all of a unit do not.
    """
    out = np.zeros((len(x), side ** (x.ndim - 2)), np.float32)
    for row, one in enumerate(x):
        out[row] = _coarse(_cut(one[0], side), side).numpy()
    return out


def _cut(one: Array, side: int) -> Tensor:
    """Lengths cut to multiples of `side`."""
    return widened(one)[tuple(slice(0, length // side * side) for length in one.shape)]


def _coarse(x: Tensor, side: int) -> Tensor:
    """Means over the grid, one axis after the other, the outermost first: what is added then lies side by side."""
    for axis in range(x.ndim):
        x = x.reshape(*x.shape[:axis], side, x.shape[axis] // side, *x.shape[axis + 1 :]).mean(dim=axis + 1)
    return x.flatten()


def roughness(x: Array, side: int) -> Array:
    """Images [n, 1, row, column]: log of the mean step between neighbours, then of the spread, in each of side² cells.

    A photograph, a page of text and a screen differ from a radiograph in this before anything else.
    """
    out = np.zeros((len(x), 2 * side * side), np.float32)
    for row, one in enumerate(x):
        part = _cut(one[0], side)
        step = torch.zeros_like(part)
        step[:, :-1] += part.diff(dim=1).abs_()
        step[:-1] += part.diff(dim=0).abs_()
        middle = _coarse(part, side)
        cells = part.reshape(side, part.shape[0] // side, side, -1) - middle.reshape(side, 1, side, 1)
        spread = _coarse(cells.square_().reshape(part.shape), side).sqrt_()
        out[row] = torch.cat([_coarse(step, side), spread]).add_(LEAST_ROUGHNESS).log_().numpy()
    return out
