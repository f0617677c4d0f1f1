"""Bring a volume whose affine is sheared, as a tilted gantry leaves it, to right angles.

In:  a volume and its affine to mm in RAS. Out: both upright, with a flag that names the angle; or `EvidenceError`.

The third axis of the array is taken as that across slices, as NIfTI has it by custom. Where the first two are not at
right angles themselves, no tilt explains it, and the volume is refused.
"""

import math

import numpy as np
from jaxtyping import Float, Float32

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.ct.axes import SHEAR_TOLERANCE
from clinic_mm.sources.ct.repair import canvas, check_size, shift_slices
from clinic_mm.sources.ct.series import LARGEST_TILT_DEG
from clinic_mm.types import Flag

Affine = Float[np.ndarray, "4 4"]
Volume = Float32[np.ndarray, "x y z"]


def is_sheared(affine: Affine) -> bool:
    """Whether the axes of a volume are not at right angles; False for an affine that is no affine at all."""
    if not np.isfinite(affine).all() or np.linalg.norm(affine[:3, :3], axis=0).min() <= 0:
        return False
    directions = _directions(affine)
    return bool(np.abs(directions.T @ directions - np.eye(3)).max() > SHEAR_TOLERANCE)


def upright_affine(shape: tuple[int, int, int], affine: Affine) -> tuple[tuple[int, int, int], Affine, Flag]:
    """Shape and affine that `upright` will give, and the flag that goes with it.

    Raises:
        EvidenceError: `ct.tilt` if the first two axes are not at right angles, or if no gantry tilts so far;
            `ct.too_large`.
    """
    per_slice, angle_deg = _shear(affine)
    first, grown = canvas(np.outer(np.arange(shape[2]), per_slice))
    straight = np.array(affine, float)
    normal = np.cross(straight[:3, 0], straight[:3, 1])
    normal /= np.linalg.norm(normal)
    straight[:3, 2] = normal * (normal @ affine[:3, 2])
    straight[:3, 3] += straight[:3, :2] @ first
    why = f"The volume was sheared by {angle_deg:.1f} degrees; slices are shifted within their plane to stand upright"
    flag = Flag(code="ct.tilt_corrected", why=why)
    grown_to = (shape[0] + grown[0], shape[1] + grown[1], shape[2])
    check_size(grown_to)
    return grown_to, straight, flag


def upright(volume: Volume, affine: Affine) -> tuple[Volume, Affine, Flag]:
    """The volume at right angles.

    Raises:
        EvidenceError: See `upright_affine`.
    """
    shape, straight, flag = upright_affine((volume.shape[0], volume.shape[1], volume.shape[2]), affine)
    per_slice, _ = _shear(affine)
    sideways = np.outer(np.arange(volume.shape[2]), per_slice)
    shifted = shift_slices(volume.transpose(2, 1, 0), sideways).transpose(2, 1, 0)
    assert shifted.shape == shape
    return shifted, straight, flag


def _directions(affine: Affine) -> Float[np.ndarray, "3 3"]:
    return np.asarray(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))


def _shear(affine: Affine) -> tuple[Float[np.ndarray, " 2"], float]:
    """By how many voxels of the first two axes each slice lies further than the one before, and the angle."""
    axes = np.asarray(affine[:3, :3], float)
    directions = _directions(affine)
    if abs(directions[:, 0] @ directions[:, 1]) > SHEAR_TOLERANCE:
        what, mend = "The rows and columns of the volume are not at right angles", "Send it without resampling"
        raise EvidenceError("ct.tilt", what, "affine", mend)
    sideways_mm = directions[:, :2].T @ axes[:, 2]
    angle_deg = math.degrees(math.asin(min(1.0, float(np.linalg.norm(directions[:, :2].T @ directions[:, 2])))))
    if angle_deg > LARGEST_TILT_DEG:
        what = f"The volume is sheared by {angle_deg:.0f} degrees, more than a gantry tilts"
        raise EvidenceError("ct.tilt", what, "affine", "Send it without tilt")
    return sideways_mm / np.linalg.norm(axes[:, :2], axis=0), angle_deg
