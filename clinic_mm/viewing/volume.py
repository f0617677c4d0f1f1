"""Planes of a CT as int16 Hounsfield units: axial, coronal and sagittal, from a file of the cache or from memory.

In:  a decoded `CtVolume`. Out: blocks [slice, row, column], and any plane of them, little endian.

Indices grow toward Right, Anterior and Superior, as in the volume: how a plane hangs is the screen's matter.
Values are rounded to whole HU, which is what scanners store; nothing is windowed, scaled or resampled.
"""

from typing import Any, Final, Protocol

import numpy as np
from jaxtyping import Float32, Int16
from numpy import ndarray as Array

from clinic_mm.errors import InputError
from clinic_mm.signals import CtVolume
from clinic_mm.sources.ct.slicewise import SliceWise

AXES: Final = {"axial": 0, "coronal": 1, "sagittal": 2}
"""Plane to the axis of the blocks that it goes along: blocks are [z, y, x]."""
MOST_AT_ONCE: Final = 32
"""Planes of one request."""
LOWEST, HIGHEST = np.iinfo(np.int16).min, np.iinfo(np.int16).max


class Readable(Protocol):
    """Blocks that can be read in pieces: a `cache.View`, or a `FreshVolume`."""

    @property
    def told(self) -> dict[str, Any]:
        """What they are, plain JSON."""

    def read(self, first: int, stop: int) -> Int16[Array, "block ..."]:
        """Blocks `first` to `stop`."""

    def whole(self) -> Int16[Array, "block ..."]:
        """All blocks."""


class FreshVolume:
    """A volume that was decoded just now: each slice becomes int16 when it is asked for, or kept.

    Attributes:
        told: Shape [x, y, z], spacing in mm, unit, flags.
    """

    def __init__(self, volume: CtVolume) -> None:
        self.told = told_of(volume)
        self._hu = volume.hu.transpose(2, 1, 0)
        self._values = np.empty(self._hu.shape, np.int16)
        self._made = np.zeros(len(self._hu), bool)

    @property
    def shape(self) -> tuple[int, ...]:
        """Slices, rows, columns."""
        return self._hu.shape

    def read(self, first: int, stop: int) -> Int16[Array, "slice row column"]:
        """Slices `first` to `stop`."""
        for at in range(first, stop):
            if not self._made[at]:  # two threads may both make it: of the same values
                self._values[at] = to_int16(self._hu[at])
                self._made[at] = True
        return self._values[first:stop]

    def whole(self) -> Int16[Array, "slice row column"]:
        """All slices."""
        return self.read(0, len(self._hu))


def told_of(
    volume: CtVolume | SliceWise, frame: str = "", first_mm: tuple[float, float, float] | None = None
) -> dict[str, Any]:
    """What a screen must know to draw a volume true: counts and mm along Right, Anterior, Superior.

    `frame` and `first_mm` are those of `SliceWise`: volumes of one frame can be laid side by side by mm.
    """
    return {
        "kind": "ct",
        "unit": "HU",
        "shape": list(volume.hu.shape if isinstance(volume, CtVolume) else volume.shape),
        "spacing_mm": [float(mm) for mm in volume.spacing_mm],
        "frame": frame if first_mm else "",
        "first_mm": list(first_mm) if first_mm else None,
        "flags": [flag.model_dump() for flag in volume.flags],
    }


def to_int16(hu: Float32[Array, "..."]) -> Int16[Array, "..."]:
    """Hounsfield units, rounded to whole ones (half to even) and held within int16; what is NaN is the lowest."""
    whole = np.clip(np.rint(np.nan_to_num(hu, nan=LOWEST)), LOWEST, HIGHEST)
    return np.asarray(whole, np.int16)


def planes(volume: Readable, plane: str, first: int, count: int = 1) -> bytes:
    """Neighbouring planes, one after the other, int16 little endian.

    Args:
        volume: Blocks [z, y, x].
        plane: `axial` [y, x], `coronal` [z, x] or `sagittal` [z, y], rows before columns.
        first: Index of the first, toward Superior, Anterior or Right.
        count: How many, at most MOST_AT_ONCE.

    Raises:
        InputError: If there is no such plane.
    """
    shape = volume.told["shape"][::-1]
    if plane not in AXES or not 0 < count <= MOST_AT_ONCE or not 0 <= first <= shape[AXES[plane]] - count:
        raise InputError("There is no such plane", "plane, first, count", f"{', '.join(AXES)}; {shape} of them")
    if plane == "axial":
        found = volume.read(first, first + count)
    elif plane == "coronal":
        found = volume.whole()[:, first : first + count].transpose(1, 0, 2)
    else:
        found = volume.whole()[:, :, first : first + count].transpose(2, 0, 1)
    return np.ascontiguousarray(found, "<i2").tobytes()
