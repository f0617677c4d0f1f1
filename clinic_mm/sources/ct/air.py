"""Look at the air of a CT: it tells whether the numbers are Hounsfield units at all.

In:  voxels in Hounsfield units. Out: what was never measured filled with air, and flags of what looks wrong.

Air is -1000 HU by definition, and nearly every scan shows some, around the body or in it. A rescale that was lost,
doubled or shifted moves it. A scan without any air (a small field inside of the body) is flagged, not refused.
"""

import math
from typing import Final

import numpy as np
from jaxtyping import Float32

from clinic_mm.sources.ct.repair import AIR_HU
from clinic_mm.types import Flag

LOWEST_HU: Final = -1500.0
"""Nothing in a body, nor the air around it, measures less; scanners fill the corners with -2000 or -3024."""
METAL_HU: Final = 3000.0
METAL_SHARE: Final = 0.02
"""Enamel and metal measure as much, and are never a fiftieth of a picture."""
LUNG_TOP_HU: Final = -700.0
BIN_HU: Final = 20.0
BINS: Final = int((LUNG_TOP_HU - LOWEST_HU) / BIN_HU)
LOOKED_AT: Final = 400_000
"""About so many voxels are looked at, evenly spread."""
FEWEST_SHARE: Final = 5e-4
"""Less than this share of the voxels is noise, not air."""
FEWEST_VOXELS: Final = 4096
"""Fewer show no distribution; no scanner makes so small a picture."""
FALL: Final = 0.3
AIR_TOLERANCE_HU: Final = 70.0
"""Air in real series lies between -1024 (clipped) and about -970 (between hot and cold parts of a beam)."""
Voxels = Float32[np.ndarray, "a b c"]


def fill_outside(hu: Voxels) -> tuple[Flag, ...]:
    """Fill, in place, what lies outside of the scanner's field with air, and say so."""
    lowest, highest = float(hu.min()), float(hu.max())
    flags = []
    if lowest < LOWEST_HU:
        hu[hu < LOWEST_HU] = AIR_HU
        flags.append(Flag(code="ct.filled_with_air", why="Values below -1500 HU stand for no measurement"))
    if highest - lowest < 1.0:
        flags.append(Flag(code="ct.blank", why="All voxels have the same value"))
    elif lowest > -200 or highest < 0:
        flags.append(Flag(code="ct.odd_range", why=f"Values run from {lowest:.0f} to {highest:.0f} HU"))
    if highest >= METAL_HU and (share := float(np.mean(_spread(hu) >= METAL_HU))) > METAL_SHARE:
        flags.append(Flag(code="ct.saturated", why=f"{share:.0%} of the voxels are denser than any tissue"))
    return tuple(flags)


def air_flags(hu: Voxels, *, filled: bool) -> tuple[Flag, ...]:
    """Say where air lies if not near -1000 HU, or that there is none to look at.

    Args:
        hu: After `fill_outside`.
        filled: Whether some of it was set to air by us, which proves nothing.
    """
    seen = _spread(hu)
    if seen.size < FEWEST_VOXELS:
        return ()
    low = seen[(seen > LOWEST_HU) & (seen < LUNG_TOP_HU)]
    if filled:
        low = low[low != AIR_HU]
    if low.size < FEWEST_SHARE * seen.size:
        return (Flag(code="ct.no_air", why="No air is in the picture, so its scale could not be checked"),)
    counts = np.bincount(((low - LOWEST_HU) / BIN_HU).astype(int), minlength=BINS)
    centres = LOWEST_HU + BIN_HU * (np.arange(BINS) + 0.5)
    smooth = np.convolve(counts, (0.25, 0.5, 0.25), mode="same")
    measured = float(centres[_lowest_peak(smooth, FEWEST_SHARE * seen.size)])
    if abs(measured - AIR_HU) <= AIR_TOLERANCE_HU:
        return ()
    why = f"Air should measure -1000 HU; the thinnest that is seen much measures {measured:.0f} HU"
    return (Flag(code="ct.air_off", why=why),)


def _lowest_peak(counts: np.ndarray, least: float) -> int:
    """The first bin that stands out of what follows by more than chance; nothing in a body is thinner than air."""
    top = 0
    for i, count in enumerate(counts):
        if count > counts[top]:
            top = i
        elif counts[top] >= least and counts[top] - count >= max(FALL * counts[top], 3 * math.sqrt(counts[top])):
            return top
    return top


def _spread(hu: Voxels) -> Float32[np.ndarray, " voxel"]:
    """Every so many voxels along each axis, the slowest axis of the memory first."""
    memory = hu.transpose(np.argsort(hu.strides)[::-1])
    step = math.ceil((hu.size / LOOKED_AT) ** (1 / 3))
    return memory[::step, ::step, ::step].ravel()
