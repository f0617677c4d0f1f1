"""Turn a CT volume into the tensor that the CT encoder expects.

In:  Hounsfield units in space, axes RAS (clinic_mm.signals.CtVolume).
Out: float16 [1, x, y, z], clipped to a wide window and scaled to [0, 1], resized to the grid of the model size;
     plain summaries: shares of tissue by HU, quantiles, blob responses inside the lung and outside it.

The whole field of view is kept: proportions follow the scanner's field, not millimetres.
"""

from itertools import pairwise
from typing import ClassVar, Final, Self

import numpy as np
from jaxtyping import Float16, Float32
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.prep.base import Prep, Prepared, quantiles
from clinic_mm.prep.resample import resize
from clinic_mm.prep.texture import LEVELS, blob_names, blob_summaries, filled, shares, smoothed, thumbnails
from clinic_mm.signals import CtVolume
from clinic_mm.task import ModalityTask

AIR_HU: Final = -1000.0
"""Hounsfield units of air, by the definition of the scale."""
WINDOW_HU: Final = (-1000.0, 600.0)
GRID: Final = {"tiny": 48, "small": 64, "base": 96}
TISSUE_EDGES_HU: Final = np.array([-1024, -950, -850, -700, -500, -200, -50, 0, 50, 100, 200, 400, 1000, 3072], float)
LUNG_BELOW_HU: Final = -500.0
THUMB_SIDE: Final = 6
SIGMAS: Final = (0.8, 1.3, 2.0)


class CtPrep(Prep[CtVolume]):
    """Window, scale and resize a CT volume."""

    kind: ClassVar[str] = "ct"
    dtype = np.float16
    places: tuple[Array, Array] | None = None
    """Where the summaries look, if not in the lung and the tissue of the volume itself."""

    @classmethod
    def plan(cls, size: str, options: ModalityTask) -> Self:
        """A cubic grid by model size; nothing to learn from a cohort."""
        del options
        return cls({"grid": GRID[size], "window_hu": list(WINDOW_HU)})

    def __call__(self, signal: CtVolume, until: object = None) -> Prepared:
        """Prepare one volume.

        Raises:
            EvidenceError: `ct.not_finite` where voxels are not numbers.
        """
        del until
        hu = self.grid(signal)
        return Prepared(self.tensor(hu), plain_summary(hu, self.places), signal.flags)

    def looking_as_in(self, signal: CtVolume) -> Self:
        """The same prep with the lung and the tissue of this volume."""
        held = type(self)(self.recipe)
        held.places = lung_and_tissue(self.grid(signal))
        return held

    def grid(self, signal: CtVolume) -> Float32[Array, "x y z"]:
        """Hounsfield units on the grid of the model size.

        Raises:
            EvidenceError: `ct.not_finite` where voxels are not numbers.
        """
        hu = resize(signal.hu, self.shape[1:])
        if not np.isfinite(hu).all():  # every voxel has a share in the grid, so that none can hide
            raise EvidenceError("ct.not_finite", "Voxels are not numbers", "ct", "Export the series again")
        return hu

    def tensor(self, hu: Float32[Array, "x y z"]) -> Float16[Array, "1 x y z"]:
        """Hounsfield units of the grid through the window, scaled to [0, 1], with an axis for the channel."""
        low, high = self.recipe["window_hu"]
        scaled: Array = (np.clip(hu, low, high) - low) / (high - low)
        return scaled[None].astype(self.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """One channel and the grid."""
        return (1, *3 * (int(self.recipe["grid"]),))

    @property
    def plain_names(self) -> tuple[str, ...]:
        """Tissue shares, quantiles, blobs."""
        tissue = tuple(f"share HU {a:g}..{b:g}" for a, b in pairwise(TISSUE_EDGES_HU))
        return (
            *tissue,
            *(f"HU q{q:g}" for q in LEVELS),
            *blob_names("lung", SIGMAS),
            *blob_names("tissue", SIGMAS),
        )

    def looks(self, x: Array) -> Array:
        """The volume as a coarse grid."""
        return thumbnails(x, self._thumb)

    @property
    def looks_names(self) -> tuple[str, ...]:
        """Places of the coarse grid, from the left, posterior, inferior corner."""
        places = range(1, self._thumb + 1)
        return tuple(f"density at {a}, {b}, {c} of {self._thumb}" for a in places for b in places for c in places)

    @property
    def _thumb(self) -> int:
        return min(THUMB_SIDE, self.shape[1])


def lung_and_tissue(hu: Array) -> tuple[Array, Array]:
    """Where there is lung, and what else is inside the body, of a resized volume in HU."""
    smooth = smoothed(hu, 2.0, truncate=2.0)
    body = filled(smooth > LUNG_BELOW_HU)
    lung = body & (smooth < LUNG_BELOW_HU)
    return lung, body & ~lung


def plain_summary(hu: Array, places: tuple[Array, Array] | None = None) -> Array:
    """Tissue shares, quantiles and blob responses of a resized volume, in HU; places are found where none are given."""
    return np.concatenate(
        [
            shares(hu, TISSUE_EDGES_HU),
            quantiles(hu, LEVELS),
            blob_summaries(hu, places or lung_and_tissue(hu), SIGMAS),
        ]
    ).astype(np.float32)
