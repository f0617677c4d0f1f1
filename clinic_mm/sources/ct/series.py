"""Put the slices of one CT series in space, or say why they do not make a volume.

In:  headers of the slices of one series, in any order.
Out: their order along the slice normal, what has to be done to them (`repair`), and the affine of the volume that
     comes out, with its flags. Positions decide, never file names.

Repaired and flagged: gantry tilt (slices shift sideways by an amount that grows evenly along the normal) and a spacing
that changes by design (see `gaps`). All else that does not fit is refused. Slices may shift sideways by one pixel in
all without being called tilted, and may differ from an even shift by as much.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.ct.gaps import POSITION, judge
from clinic_mm.sources.ct.repair import canvas
from clinic_mm.sources.dicom.header import Header
from clinic_mm.types import Flag

FEWEST_SLICES: Final = 4
"""Below this a change of spacing could not be told from a missing slice."""
COSINE_TOLERANCE: Final = 1e-3
OBLIQUE_COSINE: Final = 0.996
"""About 5 degrees."""
LARGEST_TILT_DEG: Final = 35.0
"""Gantries tilt by up to 30 degrees."""
TILT_TOLERANCE_DEG: Final = 1.0
FARTHEST_MM: Final = 1e5
PIXEL_MM: Final = (0.01, 100.0)
"""Smallest and largest pixel that a scanner of bodies makes, generously; a number beyond is damage."""
STEEPEST: Final = 1e3
HIGHEST_HU: Final = 1e5
"""The same for the numbers of the rescale."""
HOUNSFIELD: Final = ("HU", "HOUNS", "HOUND")
Vector = Float[np.ndarray, " 3"]
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Stack:
    """A CT series in space.

    Attributes:
        order: Indices of the given headers, ascending along the slice normal.
        along_mm: Where each slice lies along the normal, in that order.
        sideways: How far each slice is shifted within its plane, in columns and rows; None where they are not tilted.
        step_mm: Distance of neighbouring slices of the volume.
        even: Whether the slices lie that far apart; otherwise they are to be interpolated.
        shape: Columns, rows and slices of the volume that comes out.
        affine: From (column, row, slice) of that volume to mm in RAS.
        flags: What does not forbid use.
    """

    order: tuple[int, ...]
    along_mm: Float[np.ndarray, " slice"]
    sideways: Float[np.ndarray, "slice 2"] | None
    step_mm: float
    even: bool
    shape: tuple[int, int, int]
    affine: Float[np.ndarray, "4 4"]
    flags: tuple[Flag, ...]


def stack(headers: Sequence[Header], *, numbered: bool = True) -> Stack:
    """Order the slices of one series and check that they make a volume.

    Args:
        headers: The slices in any order.
        numbered: Whether InstanceNumber counts these slices alone.

    Raises:
        EvidenceError: `ct.too_few_slices`, `ct.no_geometry`, `ct.mixed_slices`, `ct.no_rescale`, `ct.not_hu`,
            `ct.tilt`, `ct.duplicate_slices`, `ct.missing_slices` or `ct.spacing_changes`.

    Source: DICOM PS3.3 C.7.6.2.1.1 (position and orientation), C.11.1 (rescale).
    """
    for header in headers:
        try:
            _check_values(header)
        except EvidenceError as fault:
            what = f"A slice of the series cannot be used: {fault.what}"
            raise EvidenceError(fault.code, what, fault.where, fault.mend) from None
    if len(headers) < FEWEST_SLICES:
        what = f"The series has {len(headers)} slice(s); a volume needs at least {FEWEST_SLICES}"
        raise EvidenceError("ct.too_few_slices", what, "", "Send the whole series")
    rows, columns, pixel_mm = _plane(headers)
    positions = np.array([header.position for header in headers], float)
    along = positions @ np.cross(rows, columns)
    order = np.argsort(along, kind="stable")
    ordered, positions, along = [headers[i] for i in order], positions[order], along[order]
    spacing = judge(ordered, np.diff(along), numbered=numbered)
    sideways, tilt_flags = _tilt(ordered[0], positions, along, (rows, columns), pixel_mm)
    count = len(along) if spacing.even else math.floor((along[-1] - along[0]) / spacing.step_mm + 1e-6) + 1
    layout = ordered[0].pixels
    first, grown = ((0, 0), (0, 0)) if sideways is None else canvas(sideways)
    shape = (layout.columns + grown[0], layout.rows + grown[1], count)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = rows * pixel_mm[0], columns * pixel_mm[1]
    affine[:3, 2] = np.cross(rows, columns) * spacing.step_mm
    affine[:3, 3] = positions[0] + affine[:3, 0] * first[0] + affine[:3, 1] * first[1]
    affine[:2] *= -1  # DICOM counts to the Left and Posterior, RAS to the Right and Anterior
    flags = (*tilt_flags, *spacing.flags, *_notes(ordered[0], affine))
    where = tuple(int(i) for i in order)
    return Stack(where, along, sideways, spacing.step_mm, spacing.even, shape, affine, flags)


def _check_values(header: Header) -> None:
    """One slice on its own: its pixels are there, and they are in Hounsfield units."""
    layout = header.pixels
    if layout.samples != 1 or not layout.photometric.startswith("MONOCHROME"):
        raise EvidenceError("dicom.colour", "The picture is not in grey values", "PhotometricInterpretation")
    if not header.slope or header.intercept is None:
        where, mend = "RescaleSlope (0028,1053)", "Ask the site to export it again"
        raise EvidenceError("ct.no_rescale", "Without rescale the Hounsfield units are unknown", where, mend)
    if abs(header.slope) > STEEPEST or abs(header.intercept) > HIGHEST_HU:
        where = "RescaleSlope, RescaleIntercept"
        raise EvidenceError("ct.not_hu", "The rescale gives numbers that are no Hounsfield units", where)
    if header.rescale_type and not header.rescale_type.startswith(HOUNSFIELD):
        raise EvidenceError("ct.not_hu", "The values are not in Hounsfield units", "RescaleType (0028,1054)")


def _plane(headers: Sequence[Header]) -> tuple[Vector, Vector, tuple[float, float]]:
    """Directions of rows and columns and the size of a pixel along them, the same for all slices."""
    for header in headers:
        if header.position is None or header.orientation is None or header.pixel_spacing_mm is None:
            what, where = (
                "A slice does not say where it lies",
                "ImagePositionPatient, ImageOrientationPatient, PixelSpacing",
            )
            raise EvidenceError("ct.no_geometry", what, where, "Export it again")
    orientations = np.array([header.orientation for header in headers], float)
    spacings = np.array([header.pixel_spacing_mm for header in headers], float)
    shapes = {(header.pixels.rows, header.pixels.columns) for header in headers}
    same = np.ptp(orientations, axis=0).max() <= COSINE_TOLERANCE and np.ptp(spacings, axis=0).max() <= 1e-3
    if len(shapes) > 1 or not same:
        what, mend = "The slices differ in size, pixel spacing or direction", "Send one reconstruction per series"
        raise EvidenceError("ct.mixed_slices", what, "Rows, PixelSpacing, ImageOrientationPatient", mend)
    axes = orientations[0].reshape(2, 3)
    if np.abs(axes).max() > 1 + COSINE_TOLERANCE or not np.allclose(axes @ axes.T, np.eye(2), atol=COSINE_TOLERANCE):
        raise EvidenceError("ct.no_geometry", "The directions of rows and columns are not at right angles", "")
    positions = np.array([header.position for header in headers], float)
    if not PIXEL_MM[0] <= spacings.min() <= spacings.max() <= PIXEL_MM[1] or np.abs(positions).max() > FARTHEST_MM:
        raise EvidenceError("ct.no_geometry", "Pixels or positions are of a size that no scanner makes", "")
    return axes[0], axes[1], (float(spacings[0][1]), float(spacings[0][0]))


def _tilt(
    first: Header, positions: Floats, along: Floats, plane: tuple[Vector, Vector], pixel_mm: tuple[float, float]
) -> tuple[Float[np.ndarray, "slice 2"] | None, tuple[Flag, ...]]:
    """How far slices shift within their plane: not at all, evenly (a tilted gantry), or in no way that a scan does."""
    shift_mm = (positions - positions[0]) @ np.stack(plane, axis=1)
    if np.ptp(shift_mm, axis=0).max() <= min(pixel_mm):
        return None, _declared_tilt(first, 0.0)
    from_first = along - along[0]
    slope = from_first @ shift_mm / (from_first @ from_first)
    angle_deg = math.degrees(math.atan(float(np.linalg.norm(slope))))
    if np.abs(shift_mm - np.outer(from_first, slope)).max() > min(pixel_mm):
        raise EvidenceError("ct.tilt", "The slices shift sideways unevenly", POSITION, "Send one part per series")
    if angle_deg > LARGEST_TILT_DEG:
        what = f"The slices shift sideways by {angle_deg:.0f} degrees, more than a gantry tilts"
        raise EvidenceError("ct.tilt", what, POSITION, "Send a reconstruction without tilt")
    why = f"The gantry was tilted by {angle_deg:.1f} degrees; slices are shifted within their plane to stand upright"
    return shift_mm / pixel_mm, (Flag(code="ct.tilt_corrected", why=why), *_declared_tilt(first, angle_deg))


def _declared_tilt(first: Header, angle_deg: float) -> tuple[Flag, ...]:
    """A tilt in the header that positions do not show is only told: reformats keep it, and some exports lose shifts."""
    if first.tilt_deg is None or "DERIVED" in first.image_type:
        return ()
    if abs(abs(first.tilt_deg) - angle_deg) <= TILT_TOLERANCE_DEG:
        return ()
    why = f"The header names a tilt of {first.tilt_deg:g} degrees, positions show {angle_deg:.1f}; positions are used"
    return (Flag(code="ct.tilt_disagrees", why=why),)


def _notes(first: Header, affine: Floats) -> tuple[Flag, ...]:
    directions = np.abs(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))
    notes = []
    if directions.max(axis=0).min() < OBLIQUE_COSINE:
        notes.append(Flag(code="ct.oblique", why="Slices are oblique; axes carry the name of the nearest direction"))
    if "DERIVED" in first.image_type:
        notes.append(Flag(code="ct.derived", why="The slices are a reformat or otherwise processed"))
    if first.lossy or first.pixels.lossy_syntax:
        notes.append(Flag(code="dicom.lossy", why="The picture may have lost detail in compression"))
    if first.pixels.padded:
        notes.append(Flag(code="dicom.extra_pixels", why="More pixel data are stored than the picture has"))
    return tuple(notes)
