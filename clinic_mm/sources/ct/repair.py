"""Make an even, right-angled volume of slices that were scanned with a tilted gantry or at changing distances.

In:  slices of Hounsfield units [slice, row, column] and how they lie. Out: the repaired volume, float32.

Tilt: every slice is shifted within its own plane, by linear interpolation between neighbouring pixels, on a canvas that
loses nothing; what no slice covers is air. Nothing is mixed between slices, so that each stays what was scanned; the
axes of the volume keep the slices' own directions. Spacing: linear interpolation along the normal.
"""

import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Float32

from clinic_mm.errors import EvidenceError

AIR_HU: Final = -1000.0
"""Hounsfield units of air, by the definition of the scale."""
STILL: Final = 0.01
"""Pixels. Positions are written to about a hundredth of one."""
VOXEL_LIMIT: Final = 400 * 2**20
Slices = Float32[np.ndarray, "slice row column"]
Floats = np.ndarray[Any, np.dtype[np.float64]]


def check_size(shape: tuple[int, int, int]) -> None:
    """Refuse a volume that would fill the memory.

    Raises:
        EvidenceError: `ct.too_large` from 400 million voxels on.
    """
    if math.prod(shape) > VOXEL_LIMIT:
        raise EvidenceError("ct.too_large", "The series has more than 400 million voxels", "Rows, Columns")


def canvas(sideways: Float[np.ndarray, "slice 2"]) -> tuple[tuple[int, int], tuple[int, int]]:
    """First column and row of the upright volume, counted from the slice at zero, and by how many it grows."""
    settled = _settled(sideways)
    low, high = np.floor(settled.min(axis=0)).astype(int), np.ceil(settled.max(axis=0)).astype(int)
    return (int(low[0]), int(low[1])), (int(high[0] - low[0]), int(high[1] - low[1]))


def shift_slices(slices: Slices, sideways: Float[np.ndarray, "slice 2"]) -> Slices:
    """Shift every slice within its plane.

    Args:
        slices: As scanned.
        sideways: By how many columns and rows each lies further than the first.
    """
    settled = _settled(sideways)
    for axis, shifts in ((2, settled[:, 0]), (1, settled[:, 1])):
        if shifts.any():
            slices = _shifted(slices, shifts, axis)
    return slices


def space_evenly(slices: Slices, along_mm: Float[np.ndarray, " slice"], step_mm: float, count: int) -> Slices:
    """Slices at even distances from the first on, each mixed of the two that it lies between.

    Args:
        slices: As scanned.
        along_mm: Where they lie along the normal, ascending.
        step_mm: Even distance.
        count: How many.
    """
    wanted = np.minimum(along_mm[0] + step_mm * np.arange(count), along_mm[-1])
    below = np.clip(np.searchsorted(along_mm, wanted, side="right") - 1, 0, len(along_mm) - 2)
    part = (wanted - along_mm[below]) / (along_mm[below + 1] - along_mm[below])
    even = np.empty((count, *slices.shape[1:]), np.float32)
    for out, k, share in zip(even, below, part.astype(np.float32), strict=True):
        np.multiply(slices[k], 1 - share, out=out)
        out += slices[k + 1] * share
    return even


def _settled(sideways: Floats) -> Floats:
    """Shifts without the noise of their last digits; none along an axis that stands still."""
    return np.where(np.abs(sideways).max(axis=0) > STILL, np.round(sideways, 4), 0.0)


def _shifted(slices: Slices, shifts: Floats, axis: int) -> Slices:
    whole = np.floor(shifts).astype(int)
    part = (shifts - whole).astype(np.float32)
    first, size = int(whole.min()), slices.shape[axis]
    shape = list(slices.shape)
    shape[axis] += int(np.ceil(shifts).max()) - first
    out = np.full(shape, AIR_HU, np.float32)
    for canvas, one, start, share in zip(_along(out, axis), _along(slices, axis), whole - first, part, strict=True):
        canvas[start : start + size] = (1 - share) * one + share * AIR_HU
        end = min(start + size + 1, len(canvas))  # with a share of 0 the last may lie just outside
        canvas[start + 1 : end] += share * (one[: end - start - 1] - AIR_HU)
    return out


def _along(slices: Slices, axis: int) -> Iterator[Float32[np.ndarray, "along across"]]:
    """Each slice with the axis of the shift in front."""
    return iter(slices if axis == 1 else slices.transpose(0, 2, 1))
