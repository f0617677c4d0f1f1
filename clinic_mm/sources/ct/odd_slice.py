"""Notice a slice whose pixels are not those of its place: blank, saturated, turned over, garbled or of somebody else.

In:  the slices of a CT in order, Hounsfield units. Out: a flag that says how many stand out, or none.

Neighbours of a slice lie twice as far apart as each of them from it, yet are alike; where they are more alike to each
other than to it, it does not belong there. The first and the last slice have no two neighbours and are not judged.
"""

from typing import Final

import numpy as np
from jaxtyping import Float32

from clinic_mm.types import Flag

EVERY: Final = 8
"""Pixels are looked at on a grid: enough to see a slice, and it costs nothing."""
SOFT_HU: Final = (-1000.0, 1000.0)
FACTOR: Final = 2.0
LEAST_HU: Final = 20.0
"""How much more unlike a slice must be, by factor and mean difference; sharp kernels have noise of about 100 HU in
both, which cancels."""


def odd_slice_flags(slices: Float32[np.ndarray, "slice row column"]) -> tuple[Flag, ...]:
    """Say how many slices are unlike both neighbours although these are like each other."""
    if len(slices) < 3:
        return ()
    seen = np.clip(slices[:, ::EVERY, ::EVERY], *SOFT_HU)
    near = np.abs(np.diff(seen, axis=0)).mean(axis=(1, 2))
    across = np.abs(seen[2:] - seen[:-2]).mean(axis=(1, 2))
    odd = int(np.count_nonzero(np.minimum(near[:-1], near[1:]) > FACTOR * across + LEAST_HU))
    return (Flag(code="ct.odd_slice", why=f"{odd} slice(s) are unlike their neighbours"),) if odd else ()
