"""Put the slices of one CT series in space, or say why they do not make a volume.

In:  headers of the slices of one series, in any order.
Out: their order along the slice normal, the affine of the volume, its flags. Positions decide, never file names.

Nothing here is repaired: a series with a gap, a tilt, a change of spacing or a double slice is refused. Tolerances:
gaps may differ from their mean by 0.1 mm or 1 %, whichever is more (headers round positions to 0.1 mm), but never by
more than a quarter; slices may shift sideways by one pixel in all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.header import Header
from clinic_mm.types import Flag

FEWEST_SLICES: Final = 3
"""Below this no change of spacing could be seen."""
GAP_TOLERANCE_MM: Final = 0.1
GAP_TOLERANCE: Final = 0.01
LARGEST_TOLERANCE: Final = 0.25
DUPLICATE_MM: Final = 0.01
COSINE_TOLERANCE: Final = 1e-3
OBLIQUE_COSINE: Final = 0.996
"""About 5 degrees."""
SKIPPED: Final = 1.8
"""From this many thicknesses or declared gaps between slices on, every second one may be missing."""
HOUNSFIELD: Final = ("HU", "HOUNS", "HOUND")
Vector = Float[np.ndarray, " 3"]
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Stack:
    """A CT series in space.

    Attributes:
        order: Indices of the given headers, ascending along the slice normal.
        affine: From (column, row, slice) to mm in RAS.
        gap_mm: Distance of neighbouring slices.
        flags: What does not forbid use.
    """

    order: tuple[int, ...]
    affine: Float[np.ndarray, "4 4"]
    gap_mm: float
    flags: tuple[Flag, ...]


def stack(headers: Sequence[Header]) -> Stack:
    """Order the slices of one series and check that they make a volume.

    Raises:
        EvidenceError: `ct.too_few_slices`, `ct.no_geometry`, `ct.mixed_slices`, `ct.no_rescale`, `ct.not_hu`,
            `ct.tilt`, `ct.duplicate_slices`, `ct.missing_slices` or `ct.spacing_changes`.

    Source: DICOM PS3.3 C.7.6.2.1.1 (position and orientation), C.11.1 (rescale).
    """
    if len(headers) < FEWEST_SLICES:
        raise EvidenceError(
            "ct.too_few_slices",
            f"The series has {len(headers)} slice(s); a volume needs at least {FEWEST_SLICES}",
            "",
            "Send the whole series",
        )
    for header in headers:
        try:
            _check_values(header)
        except EvidenceError as fault:
            what = f"A slice of the series cannot be used: {fault.what}"
            raise EvidenceError(fault.code, what, fault.where, fault.mend) from None
    rows, columns, (row_mm, column_mm) = _plane(headers)
    normal = np.cross(rows, columns)
    positions = np.array([header.position for header in headers], float)
    along = positions @ normal
    order = np.argsort(along, kind="stable")
    gaps = np.diff(along[order])
    _check_tilt(positions, normal, min(row_mm, column_mm))
    _check_gaps(gaps)
    gap_mm = float(gaps.mean())
    flags = _check_none_skipped([headers[i] for i in order], gap_mm)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = rows * column_mm, columns * row_mm, normal * gap_mm
    affine[:3, 3] = positions[order[0]]
    affine[:2] *= -1  # DICOM counts to the Left and Posterior, RAS to the Right and Anterior
    return Stack(tuple(int(i) for i in order), affine, gap_mm, (*flags, *_notes(headers[0], affine)))


def _check_values(header: Header) -> None:
    """One slice on its own: its pixels are there, and they are in Hounsfield units."""
    layout = header.pixels
    if layout.samples != 1 or not layout.photometric.startswith("MONOCHROME"):
        raise EvidenceError("dicom.colour", "The picture is not in grey values", "PhotometricInterpretation")
    if not header.slope or header.intercept is None:
        where, mend = "RescaleSlope (0028,1053)", "Ask the site to export it again"
        raise EvidenceError("ct.no_rescale", "Without rescale the Hounsfield units are unknown", where, mend)
    if header.rescale_type and not header.rescale_type.startswith(HOUNSFIELD):
        raise EvidenceError("ct.not_hu", "The values are not in Hounsfield units", "RescaleType (0028,1054)")


def _plane(headers: Sequence[Header]) -> tuple[Vector, Vector, tuple[float, float]]:
    """Directions of rows and columns and the pixel size, the same for all slices."""
    first = headers[0]
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
    if not np.allclose(axes @ axes.T, np.eye(2), atol=COSINE_TOLERANCE) or spacings.min() <= 0:
        raise EvidenceError("ct.no_geometry", "The directions of rows and columns are not at right angles", "")
    assert first.pixel_spacing_mm is not None
    return axes[0], axes[1], (first.pixel_spacing_mm[0], first.pixel_spacing_mm[1])


def _check_tilt(positions: Floats, normal: Vector, pixel_mm: float) -> None:
    sideways = positions - np.outer(positions @ normal, normal)
    if np.ptp(sideways, axis=0).max() > pixel_mm:
        what, where = "The gantry was tilted: the slices shift sideways", "ImagePositionPatient (0020,0032)"
        raise EvidenceError("ct.tilt", what, where, "Send a reconstruction without tilt")


def _check_gaps(gaps: Floats) -> None:
    where = "ImagePositionPatient (0020,0032)"
    if gaps.min() < DUPLICATE_MM:
        mend = "Send one reconstruction per series"
        raise EvidenceError("ct.duplicate_slices", "Two slices lie in the same place", where, mend)
    mean = float(gaps.mean())
    tolerance = min(max(GAP_TOLERANCE_MM, GAP_TOLERANCE * mean), LARGEST_TOLERANCE * mean)
    if np.abs(gaps - mean).max() <= tolerance:
        return
    usual = float(np.median(gaps))
    steps = np.rint(gaps / usual)
    if np.abs(gaps - steps * usual).max() <= steps.max() * min(GAP_TOLERANCE_MM, LARGEST_TOLERANCE * usual):
        missing = int(steps.sum() - len(steps))
        raise EvidenceError("ct.missing_slices", f"{missing} slice(s) are missing", where, "Send the whole series")
    raise EvidenceError("ct.spacing_changes", "The distance between slices changes", where, "Send one part per series")


def _check_none_skipped(ordered: Sequence[Header], gap_mm: float) -> tuple[Flag, ...]:
    """Even gaps can still hide that every second slice is missing: ask what else the headers say."""
    numbers = [header.instance_number for header in ordered]
    known = [number for number in numbers if number is not None]
    steps = {abs(b - a) for a, b in pairwise(known)} if len(known) == len(numbers) else set()
    declared = ordered[0].declared_gap_mm
    if declared and abs(abs(declared) - gap_mm) <= max(GAP_TOLERANCE_MM, GAP_TOLERANCE * gap_mm):
        return ()
    if declared and gap_mm >= SKIPPED * abs(declared):
        _refuse_skipped("SpacingBetweenSlices (0018,0088)")
    if len(steps) == 1 and steps != {1}:
        _refuse_skipped("InstanceNumber (0020,0013)")
    thickness = ordered[0].thickness_mm
    if thickness and gap_mm >= SKIPPED * thickness:
        if steps != {1}:
            _refuse_skipped("SliceThickness (0018,0050)")
        why = f"Slices are {thickness:g} mm thick and {gap_mm:g} mm apart"
        return (Flag(code="ct.gaps", why=why),)
    if declared:
        return (Flag(code="ct.spacing_disagrees", why="Declared and measured slice distance differ; measured is used"),)
    return ()


def _refuse_skipped(where: str) -> None:
    raise EvidenceError(
        "ct.missing_slices", "Slices seem to be left out at regular intervals", where, "Send the whole series"
    )


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
