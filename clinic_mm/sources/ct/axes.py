"""Turn a volume so that its axes grow toward Right, Anterior and Superior.

In:  an array and its affine to mm in RAS. Out: the same values, turned by whole axes; nothing is resampled. The array
     given is used up: it may be turned in place.
"""

from typing import Any, Final

import numpy as np
from jaxtyping import Float, Shaped
from nibabel.orientations import apply_orientation, io_orientation

from clinic_mm.errors import EvidenceError

SHEAR_TOLERANCE: Final = 0.01
"""Cosine of the angle between axes; half a degree."""
ALONG_COSINE: Final = 0.9998
"""About one degree."""
Affine = Float[np.ndarray, "4 4"]


def to_ras(volume: Shaped[np.ndarray, "x y z"], affine: Affine) -> Shaped[np.ndarray, "x y z"]:
    """The volume with its axes in the order and direction of RAS, by the nearest direction of each axis.

    Strides are positive, since torch takes no others; their order stays as it was read, which is the fast one. Where it
    can, it turns the values in place, slice by slice: a large CT need not be in memory twice.
    """
    orientation = _orientation(affine)
    turned = np.asarray(apply_orientation(volume, orientation))  # type: ignore[no-untyped-call]
    if min(turned.strides) > 0:
        return turned
    order = np.argsort(volume.strides)[::-1]
    back = tuple(axis for axis, which in enumerate(order) if orientation[which, 1] < 0)
    if 0 in back or not volume.flags.writeable:
        return turned.copy(order="K")
    for one in volume.transpose(order):
        one[...] = np.flip(one, tuple(axis - 1 for axis in back)).copy()
    return volume.transpose(np.argsort(orientation[:, 0]))


def ras_geometry(
    shape: tuple[int, int, int], affine: Affine
) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    """Shape and voxel size in mm along Right, Anterior and Superior.

    Raises:
        EvidenceError: `ct.no_geometry` if the axes are not at right angles, or one has no length.
    """
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or lengths.min() <= 0:
        raise EvidenceError("ct.no_geometry", "The affine of the volume is degenerate", "", "Export it again")
    directions: np.ndarray[Any, Any] = affine[:3, :3] / lengths
    if np.abs(directions.T @ directions - np.eye(3)).max() > SHEAR_TOLERANCE:
        raise EvidenceError("ct.tilt", "The axes of the volume are not at right angles", "", "Send it without tilt")
    source = np.argsort(_orientation(affine)[:, 0])
    sizes, mm = [shape[axis] for axis in source], [float(lengths[axis]) for axis in source]
    return (sizes[0], sizes[1], sizes[2]), (mm[0], mm[1], mm[2])


def third_axis(affine: Affine) -> tuple[int, bool]:
    """Which axis of RAS the third axis of the array (across slices) is nearest to, and whether it grows with it."""
    axis, way = _orientation(affine)[2]
    return int(axis), bool(way > 0)


def first_mm(shape: tuple[int, int, int], affine: Affine) -> tuple[float, float, float] | None:
    """Where the first voxel lies once the volume is turned (`to_ras`), mm along Right, Anterior, Superior.

    Returns:
        None where the axes do not lie along those of the body: then no such number tells where a plane is.
    """
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    if np.abs(directions).max(axis=0).min() < ALONG_COSINE:
        return None
    ways = _orientation(affine)[:, 1]
    corner = [0 if way > 0 else size - 1 for way, size in zip(ways, shape, strict=True)]
    x, y, z = (float(mm) for mm in (affine @ np.array([*corner, 1]))[:3])
    return x, y, z


def _orientation(affine: Affine) -> Float[np.ndarray, "3 2"]:
    """For each axis of the array: which axis of RAS it is nearest to, and in which direction."""
    return np.asarray(io_orientation(affine))  # type: ignore[no-untyped-call]
