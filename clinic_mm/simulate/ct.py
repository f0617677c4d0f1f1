"""Render a latent into a CT series: the contrast of one nodule, somewhere in a lung.

In:  v, a random generator. Out: HU [48, 64, 64] (slice from feet to head, row to posterior, column to left) and
where the nodule lies; as files, one DICOM CT image per slice with its true geometry.

Body, lungs, heart and nodule vary in size and place, independent of v. The air of the lungs varies too, so that only
the contrast between nodule and lung tells v. Nothing here is a real patient.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array
from pydicom.uid import CTImageStorage
from scipy.ndimage import gaussian_filter

from clinic_mm.simulate.case import Case
from clinic_mm.simulate.dicom_header import Sibling, header, set_pixels, uid_of

SHAPE: Final = (48, 64, 64)
SPACING_MM: Final = (6.0, 5.5, 5.5)
AIR_HU: Final = -1000.0
CONTRAST_HU: Final = 430.0
CONTRAST_PER_V_HU: Final = 110.0
"""The nodule stands out by 430 + 110 v HU from the lung around it."""

NOISE_HU: Final = 25.0
TEXTURE_HU: Final = 12.0
SLOPE, INTERCEPT = 1, -1024
CHANGING: Final = ("InstanceNumber", "ImagePositionPatient", "SliceLocation")
"""What differs between the slices of a series, beside UID and pixels."""


@dataclass(frozen=True, slots=True)
class Nodule:
    """Where the nodule lies, mm from the centre of the volume (z to the head, y to posterior, x to the left)."""

    z_mm: float
    y_mm: float
    x_mm: float
    radius_mm: float


def grid() -> tuple[Float[Array, "z 1 1"], Float[Array, "1 y 1"], Float[Array, "1 1 x"]]:
    """Voxel centres in mm, axes open."""
    z, y, x = (_centres(n, mm) for n, mm in zip(SHAPE, SPACING_MM, strict=True))
    return z.reshape(-1, 1, 1), y.reshape(1, -1, 1), x.reshape(1, 1, -1)


def _centres(n: int, mm: float) -> Float[Array, " n"]:
    return np.asarray((np.arange(n) - (n - 1) / 2) * mm, dtype=np.float32)


def render(v: float, rng: np.random.Generator) -> tuple[Float[Array, "z y x"], Nodule]:
    """Render one chest.

    Args:
        v: What the nodule's contrast encodes.
        rng: The case's random numbers for CT.
    """
    z, y, x = grid()
    width, depth = rng.uniform(125, 155), rng.uniform(85, 112)
    cx, cy, cz = rng.uniform(-12, 12), rng.uniform(-10, 10), rng.uniform(-15, 15)
    lung_hu = rng.uniform(-870, -800)
    lung_axes = (rng.uniform(85, 108), 0.62 * depth, 0.34 * width)
    lungs = [(cz, cy - 0.04 * depth, cx + side * 0.43 * width) for side in (-1, 1)]
    heart, heart_axes = (cz - 45, cy - 0.34 * depth, cx + 0.1 * width), (42.0, 0.38 * depth, 0.3 * width)

    body = np.broadcast_to(((y - cy) / depth) ** 2 + ((x - cx) / width) ** 2, SHAPE)
    hu = np.full(SHAPE, AIR_HU, dtype=np.float32)
    _paint(hu, rng.uniform(20, 55), _cover(body, depth))
    _paint(hu, -90.0, _cover(body, depth) * (body > 0.93))
    ribs = (body > 0.74) & (body < 0.88) & (np.sin(2 * np.pi * (z / 26 + y / 110) + rng.uniform(0, 6.28)) > 0.35)
    hu[ribs] = rng.uniform(250, 450)
    hu[np.broadcast_to((y - cy - 0.68 * depth) ** 2 + (x - cx) ** 2 < 17.0**2, SHAPE)] = rng.uniform(180, 320)
    for centre in lungs:
        _paint(hu, lung_hu, _cover(_ellipsoid((z, y, x), centre, lung_axes), min(lung_axes)))
    _paint(hu, 45.0, _cover(_ellipsoid((z, y, x), heart, heart_axes), min(heart_axes)))

    nodule = _place(rng, lungs, lung_axes, heart, heart_axes)
    distance = _ellipsoid((z, y, x), (nodule.z_mm, nodule.y_mm, nodule.x_mm), 3 * (nodule.radius_mm,))
    _paint(hu, lung_hu + CONTRAST_HU + CONTRAST_PER_V_HU * v, _cover(distance, nodule.radius_mm))
    return np.clip(hu + _grain(rng), -1024, 3071), nodule


def _ellipsoid(
    axes: tuple[Array, Array, Array], centre: tuple[float, float, float], radii: tuple[float, ...]
) -> Float[Array, "z y x"]:
    """Squared distance from a centre in units of the radii: below 1 is inside."""
    parts = [((a - c) / r) ** 2 for a, c, r in zip(axes, centre, radii, strict=True)]
    return np.asarray(parts[0] + parts[1] + parts[2])


def _cover(squared: Float[Array, "z y x"], radius_mm: float) -> Float[Array, "z y x"]:
    """Share of each voxel that is inside, soft over one voxel at the edge (partial volume)."""
    depth_mm = (1 - np.sqrt(squared)) * radius_mm
    return np.asarray(np.clip(depth_mm / SPACING_MM[1] + 0.5, 0, 1))


def _paint(hu: Float[Array, "z y x"], value: float, cover: Float[Array, "z y x"]) -> None:
    hu += cover * (value - hu)


def _grain(rng: np.random.Generator) -> Float[Array, "z y x"]:
    """Noise of the scanner, and a smooth texture of the tissue."""
    white = rng.standard_normal(SHAPE, dtype=np.float32)
    smooth = gaussian_filter(rng.standard_normal(SHAPE, dtype=np.float32), 1.2, truncate=2.5)
    return np.asarray(NOISE_HU * white + TEXTURE_HU / float(smooth.std()) * smooth)


def _place(
    rng: np.random.Generator,
    lungs: list[tuple[float, float, float]],
    axes: tuple[float, ...],
    heart: tuple[float, float, float],
    heart_axes: tuple[float, ...],
) -> Nodule:
    """A random place well inside a lung and clear of the heart."""
    radius = float(rng.uniform(17.0, 20.0))
    while True:
        unit = rng.uniform(-1, 1, 3)
        centre = np.array(lungs[int(rng.integers(2))]) + 0.62 * unit * axes
        clear = (((centre - heart) / (np.array(heart_axes) + 1.4 * radius)) ** 2).sum() > 1
        if (unit**2).sum() < 1 and clear:
            return Nodule(float(centre[0]), float(centre[1]), float(centre[2]), radius)


def write(case: Case, folder: Path, at: datetime, v: float, rng: np.random.Generator, *, occasion: str = "1") -> Nodule:
    """Write one series, 48 files in no particular order, some cohorts' style with a suffix and some without.

    Source: DICOM PS3.3 A.3 (CT Image IOD), C.7.6.2 (Image Plane), C.8.2.1 (CT Image).
    """
    hu, nodule = render(v, rng)
    suffix = ".dcm" if rng.random() < 0.5 else ""
    names = rng.permutation(SHAPE[0])
    folder.mkdir(parents=True)
    ds = header(case, "CT", CTImageStorage, at, occasion=occasion)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.FrameOfReferenceUID = uid_of(case, "CT", occasion, "frame")
    ds.PositionReferenceIndicator = ""
    ds.PatientPosition = "HFS"
    ds.KVP = 120
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing = [SPACING_MM[1], SPACING_MM[2]]
    ds.SliceThickness = SPACING_MM[0]
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = SLOPE, INTERCEPT, "HU"
    ds.WindowCenter, ds.WindowWidth = -500, 1500
    z, y, x = (axis.ravel() for axis in grid())
    stored = np.rint((hu - INTERCEPT) / SLOPE).astype(np.int16)
    image_uid = uid_of(case, "CT", occasion, "image")
    sibling: Sibling | None = None
    for k in range(SHAPE[0]):
        ds.SOPInstanceUID = f"{image_uid}.{100 + k}"
        ds.InstanceNumber = k + 1
        ds.ImagePositionPatient = [float(x[0]), float(y[0]), float(z[k])]
        ds.SliceLocation = float(z[k])
        set_pixels(ds, stored[k], bits=16)
        sibling = sibling or Sibling(ds, CHANGING)
        (folder / f"IM{names[k]:04d}{suffix}").write_bytes(sibling.encode(ds))
    return nodule
