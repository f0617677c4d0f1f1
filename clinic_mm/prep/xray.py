"""Turn a radiograph into the tensor that the X-ray encoder expects.

In:  grey values in [0, 1], MONOCHROME2 sense (clinic_mm.signals.XrayImage).
Out: float16 [1, row, column], stretched so that the 1st and 99th percentile become 0 and 1, resized to a square;
     plain summaries: grey shares, quantiles, blob responses, left-right difference.

View position and laterality are not used: they are known shortcuts (AP at the bedside means sicker).
"""

from typing import ClassVar, Final, Self

import numpy as np
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.prep.base import Prep, Prepared, quantiles
from clinic_mm.prep.resample import resize
from clinic_mm.prep.texture import LEVELS, blob_names, blob_summary, shares
from clinic_mm.signals import XrayImage
from clinic_mm.task import ModalityTask

SIDE: Final = {"tiny": 128, "small": 192, "base": 256}
EDGES: Final = np.linspace(0.0, 1.0, 11)
SIGMAS: Final = (2.0, 4.0, 7.0)
CENTRE: Final = (0.15, 0.85)
BLANK_BELOW: Final = 1e-4


class XrayPrep(Prep[XrayImage]):
    """Stretch and resize a radiograph."""

    kind: ClassVar[str] = "xray"
    dtype = np.float16

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
        grey = resize(signal.grey, self.shape[1:])
        low, high = np.quantile(grey, (0.01, 0.99))
        if high - low < BLANK_BELOW:
            raise EvidenceError("xray.blank", "The image is blank", "xray", "Export the image again, or leave it out")
        x = np.clip((grey - low) / (high - low), 0.0, 1.0).astype(np.float32)
        return Prepared(x[None].astype(self.dtype), plain_summary(x), signal.flags)

    @property
    def shape(self) -> tuple[int, ...]:
        """One channel and the square."""
        return (1, *2 * (int(self.recipe["side"]),))

    @property
    def plain_names(self) -> tuple[str, ...]:
        """Grey shares, quantiles, blobs, asymmetry."""
        return (
            *(f"share grey {a:.1f}" for a in EDGES[:-1]),
            *(f"grey q{q:g}" for q in LEVELS),
            *blob_names("image", SIGMAS),
            *blob_names("centre", SIGMAS),
            "left-right difference",
        )


def plain_summary(x: Array) -> Array:
    """Plain summaries of a stretched, square image; blob scales are relative to a side of 128."""
    everywhere = np.ones_like(x, dtype=bool)
    centre = np.zeros_like(everywhere)
    low, high = (int(part * x.shape[0]) for part in CENTRE)
    centre[low:high, low:high] = True
    sigmas = tuple(s * x.shape[0] / 128 for s in SIGMAS)
    return np.concatenate(
        [
            shares(x, EDGES),
            quantiles(x, LEVELS),
            blob_summary(x, everywhere, sigmas),
            blob_summary(x, centre, sigmas),
            [np.abs(x - x[:, ::-1]).mean()],
        ]
    ).astype(np.float32)
