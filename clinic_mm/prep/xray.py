"""Turn a radiograph into the tensor that the X-ray encoder expects.

In:  grey values in [0, 1], MONOCHROME2 sense (clinic_mm.signals.XrayImage).
Out: float16 [1, row, column], stretched so that the 1st and 99th percentile become 0 and 1, resized to a square;
     plain summaries: grey shares, quantiles, blob responses, left-right difference.

View position and laterality are not used: they are known shortcuts (AP at the bedside means sicker).
"""

from typing import ClassVar, Final, Self

import numpy as np
from numpy import ndarray as Array
from scipy import ndimage

from clinic_mm.errors import EvidenceError
from clinic_mm.prep.base import Mistake, Prep, Prepared, quantiles
from clinic_mm.prep.resample import resize
from clinic_mm.prep.texture import LEVELS, blob_names, blob_summaries, filled, roughness, shares, smoothed, thumbnails
from clinic_mm.signals import XrayImage
from clinic_mm.task import ModalityTask

SIDE: Final = {"tiny": 128, "small": 192, "base": 256}
EDGES: Final = np.linspace(0.0, 1.0, 11)
SIGMAS: Final = (2.0, 3.5, 5.0)
"""Blob scales in pixels of an image of side 128."""
STRETCHED: Final = (0.01, 0.99)
GREY_LEVELS: Final = tuple(q for q in LEVELS if STRETCHED[0] < q < STRETCHED[1])
"""The picture is stretched between these two: they would be 0 and 1 but for digits, in which two readers differ."""
CLOSING: Final = 0.08
"""Of the side of the image."""
BLANK_BELOW: Final = 1e-4
THUMB_SIDE: Final = 16
CELLS_SIDE: Final = 8


MISTAKES: Final = (
    Mistake("xray.inverted", "inverted, black for white", lambda x: 1 - x),
    Mistake("xray.upside_down", "upside down", lambda x: x[:, :, ::-1]),
    Mistake("xray.turned", "turned by 180 degrees", lambda x: x[:, :, ::-1, ::-1]),
    Mistake("xray.turned_left", "turned to the left", lambda x: np.rot90(x, 1, (2, 3))),
    Mistake("xray.turned_right", "turned to the right", lambda x: np.rot90(x, -1, (2, 3))),
    Mistake("xray.mirrored", "mirrored, left for right", lambda x: x[..., ::-1], only_flag=True),
)
"""The tensor is stretched between percentiles that lie alike on both sides: a negative's is 1 minus the positive's."""


class XrayPrep(Prep[XrayImage]):
    """Stretch and resize a radiograph."""

    kind: ClassVar[str] = "xray"
    version: ClassVar[int] = 2
    dtype = np.float16
    lungs: Array | None = None
    """Where the summaries look, if not in the lung fields of the image itself."""

    @classmethod
    def plan(cls, size: str, options: ModalityTask) -> Self:
        """A square by model size; nothing to learn from a cohort."""
        del options
        return cls({"side": SIDE[size]})

    def __call__(self, signal: XrayImage, until: object = None) -> Prepared:
        """Prepare one image.

        Raises:
            EvidenceError: `xray.blank` where all pixels are equal, `xray.not_finite` where they are not numbers.
        """
        del until
        if not np.isfinite(signal.grey).all():
            raise EvidenceError("xray.not_finite", "Pixels are not numbers", "xray", "Export the image again")
        x = self._stretched(signal)
        return Prepared(x[None].astype(self.dtype), plain_summary(x, self.lungs), signal.flags)

    def looking_as_in(self, signal: XrayImage) -> Self:
        """The same prep with the lung fields of this image."""
        held = type(self)(self.recipe)
        held.lungs = lung_fields(self._stretched(signal))
        return held

    def _stretched(self, signal: XrayImage) -> Array:
        grey = resize(signal.grey, self.shape[1:])
        low, high = np.quantile(grey, STRETCHED)
        if high - low < BLANK_BELOW:
            raise EvidenceError("xray.blank", "The image is blank", "xray", "Export the image again, or leave it out")
        return np.asarray(np.clip((grey - low) / (high - low), 0.0, 1.0), np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        """One channel and the square."""
        return (1, *2 * (int(self.recipe["side"]),))

    @property
    def plain_names(self) -> tuple[str, ...]:
        """Grey shares, quantiles, blobs, asymmetry."""
        return (
            *(f"share grey {a:.1f}" for a in EDGES[:-1]),
            *(f"grey q{q:g}" for q in GREY_LEVELS),
            *blob_names("lungs", SIGMAS),
            *blob_names("elsewhere", SIGMAS),
            "left-right difference",
        )

    def looks(self, x: Array) -> Array:
        """The picture as a thumbnail."""
        return thumbnails(x, self._thumb)

    @property
    def looks_names(self) -> tuple[str, ...]:
        """Places of the thumbnail, from the upper left."""
        places = range(1, self._thumb + 1)
        return tuple(f"brightness at row {r}, column {c} of {self._thumb}" for r in places for c in places)

    def texture(self, x: Array) -> Array:
        """Roughness and contrast by place."""
        return roughness(x, self._cells)

    @property
    def texture_names(self) -> tuple[str, ...]:
        """By place, from the upper left."""
        places = range(1, self._cells + 1)
        where = [f"row {r}, column {c} of {self._cells}" for r in places for c in places]
        return (*(f"roughness at {one}" for one in where), *(f"contrast at {one}" for one in where))

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        """Black for white, and the ways a picture can lie; mirrored alone is only flagged."""
        return MISTAKES

    @property
    def _thumb(self) -> int:
        return min(THUMB_SIDE, self.shape[1])

    @property
    def _cells(self) -> int:
        return min(CELLS_SIDE, self.shape[1])


def plain_summary(x: Array, lungs: Array | None = None) -> Array:
    """Plain summaries of a stretched, square image; its lung fields are found where none are given."""
    lungs = lung_fields(x) if lungs is None else lungs
    sigmas = tuple(s * x.shape[0] / 128 for s in SIGMAS)
    return np.concatenate(
        [
            shares(x, EDGES),
            quantiles(x, GREY_LEVELS),
            blob_summaries(x, (lungs, ~lungs), sigmas),
            [np.abs(x - x[:, ::-1]).mean()],
        ]
    ).astype(np.float32)


def lung_fields(x: Array) -> Array:
    """Where a radiograph is dark inside the body, holes filled: rough lung fields, to look for what is bright there.

    Dark regions that touch the left, right or lower edge are air around the body. Without any dark region inside (no
    chest, or white lungs) it is the whole image.
    """
    smooth = smoothed(x, x.shape[0] / 64, truncate=4.0)
    dark = smooth < np.quantile(smooth, (0.1, 0.9)).mean()
    regions, _ = ndimage.label(dark)
    outside = np.unique(np.concatenate([regions[:, 0], regions[:, -1], regions[-1]]))
    inside = dark & ~np.isin(regions, outside)
    if not inside.any():
        return np.ones_like(dark)
    # What is bright at the edge of a lung would be cut out of it: close over bays as wide as the largest blob.
    reach = round(CLOSING * x.shape[0])
    away = ndimage.distance_transform_edt(~inside) > reach
    closed = inside | (ndimage.distance_transform_edt(~away) > reach)
    return filled(closed)
