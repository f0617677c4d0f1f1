"""Render a latent into a radiograph: the contrast of one opacity, somewhere in a lung.

In:  v, a random generator. Out: stored values 0 to 4095 [128, 128], bright is dense, and where the opacity lies;
as a file, one DICOM CR image, MONOCHROME2, 12 bits, with a VOI window.

Body size, place, exposure and ribs vary, independent of v.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array
from pydicom.uid import ComputedRadiographyImageStorage
from scipy.ndimage import gaussian_filter

from clinic_mm.simulate.case import Case
from clinic_mm.simulate.dicom_header import encode, header, set_pixels, uid_of

SIDE: Final = 128
SPACING_MM: Final = 3.0
LUNG: Final = 1100.0
TISSUE: Final = 2300.0
CONTRAST: Final = 600.0
CONTRAST_PER_V: Final = 160.0
"""The opacity stands out by 600 + 160 v stored values from the lung around it."""

NOISE: Final = 40.0
TEXTURE: Final = 25.0
EDGE_PX: Final = 9.0
"""How far the edges of body, lungs and heart are drawn out, as in any projection of round things."""

WINDOW_CENTER, WINDOW_WIDTH = 1800, 3400


@dataclass(frozen=True, slots=True)
class Opacity:
    """Where the opacity lies, pixels from the upper left corner."""

    row: float
    column: float
    radius_px: float


def render(v: float, rng: np.random.Generator) -> tuple[Float[Array, "row column"], Opacity]:
    """Render one radiograph.

    Args:
        v: What the opacity's contrast encodes.
        rng: The case's random numbers for X-ray.
    """
    row, column = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    cr, cc = SIDE / 2 + rng.uniform(-5, 5), SIDE / 2 + rng.uniform(-6, 6)
    width, height = rng.uniform(46, 58), rng.uniform(36, 44)
    exposure = rng.uniform(-120, 120)
    image = np.full((SIDE, SIDE), 250.0 + rng.uniform(-80, 80), dtype=np.float32)

    _paint(image, TISSUE + rng.uniform(-120, 120), _cover(np.abs(column - cc) / width, width))
    lung_axes = (height, 0.38 * width)
    lungs = [(cr - 2.0, cc + side * 0.47 * width) for side in (-1, 1)]
    for centre in lungs:
        inside = _cover(_ellipse(row, column, centre, lung_axes), min(lung_axes))
        _paint(image, LUNG, inside)
        ribs = np.maximum(np.sin(2 * np.pi * (row + 0.15 * np.abs(column - cc)) / 13 + rng.uniform(0, 6.28)), 0)
        image += 70.0 * ribs * inside
    heart = (cr + 0.45 * height, cc + 0.12 * width)
    _paint(image, TISSUE + 150.0, _cover(_ellipse(row, column, heart, (16.0, 0.26 * width)), 14.0))

    opacity = _place(rng, lungs, lung_axes, heart, width)
    spot = spot_cover(opacity)
    image += (CONTRAST + CONTRAST_PER_V * v) * spot
    return np.clip(image + exposure + _grain(rng), 0, 4095), opacity


def spot_cover(opacity: Opacity) -> Float[Array, "row column"]:
    """Share of each pixel that the opacity covers."""
    row, column = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    distance = _ellipse(row, column, (opacity.row, opacity.column), 2 * (opacity.radius_px,))
    return _cover(distance, opacity.radius_px, soft_px=2.0)


def _ellipse(
    row: Float[Array, "row column"],
    column: Float[Array, "row column"],
    centre: tuple[float, float],
    radii: tuple[float, ...],
) -> Float[Array, "row column"]:
    """Distance from a centre in units of the radii."""
    return np.asarray(np.sqrt(((row - centre[0]) / radii[0]) ** 2 + ((column - centre[1]) / radii[1]) ** 2))


def _cover(
    distance: Float[Array, "row column"], radius_px: float, soft_px: float = EDGE_PX
) -> Float[Array, "row column"]:
    """1 inside, 0 outside, soft at the edge."""
    return np.clip((1 - distance) * radius_px / soft_px + 0.5, 0, 1)


def _paint(image: Float[Array, "row column"], value: float, cover: Float[Array, "row column"]) -> None:
    image += cover * (value - image)


def _grain(rng: np.random.Generator) -> Float[Array, "row column"]:
    white = rng.standard_normal((SIDE, SIDE), dtype=np.float32)
    smooth = gaussian_filter(rng.standard_normal((SIDE, SIDE), dtype=np.float32), 3.0)
    return np.asarray(NOISE * white + TEXTURE / float(smooth.std()) * smooth)


def _place(
    rng: np.random.Generator,
    lungs: list[tuple[float, float]],
    axes: tuple[float, float],
    heart: tuple[float, float],
    width: float,
) -> Opacity:
    """A random place well inside a lung and clear of the heart."""
    radius = float(rng.uniform(6.0, 7.5))
    reach = np.array([axes[0] - radius - 10, axes[1] - radius - 4])
    while True:
        unit = rng.uniform(-1, 1, 2)
        centre = np.array(lungs[int(rng.integers(2))]) + unit * reach
        away = (((centre - heart) / (np.array([16.0, 0.26 * width]) + 1.5 * radius)) ** 2).sum() > 1
        if (unit**2).sum() < 1 and away:
            return Opacity(float(centre[0]), float(centre[1]), radius)


def write(case: Case, path: Path, at: datetime, v: float, rng: np.random.Generator, *, occasion: str = "1") -> Opacity:
    """Write one radiograph.

    Source: DICOM PS3.3 A.2 (Computed Radiography Image IOD), C.8.1, C.11.2 (VOI LUT).
    """
    image, opacity = render(v, rng)
    path.parent.mkdir(parents=True, exist_ok=True)
    ds = header(case, "CR", ComputedRadiographyImageStorage, at, occasion=occasion)
    ds.SOPInstanceUID = uid_of(case, "CR", occasion, "image")
    ds.InstanceNumber = 1
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.ViewPosition = "PA" if rng.random() < 0.7 else "AP"
    ds.PatientOrientation = ["L", "F"]
    ds.Laterality = ""
    ds.ImagerPixelSpacing = [SPACING_MM, SPACING_MM]
    ds.PixelSpacing = [SPACING_MM, SPACING_MM]
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 1, 0, "US"
    ds.WindowCenter, ds.WindowWidth = WINDOW_CENTER, WINDOW_WIDTH
    set_pixels(ds, np.rint(image).astype(np.uint16), bits=12)
    path.write_bytes(encode(ds))
    return opacity
