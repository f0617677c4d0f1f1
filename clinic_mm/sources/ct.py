"""Load a CT as a volume of Hounsfield units in RAS, from the slices of one DICOM series or from one NIfTI file.

In:  the files of one piece of evidence. Out: `CtVolume`, or `EvidenceError`; nothing outside of the files is read.

Nothing is resampled, clipped or windowed. What was never measured (padding) becomes air.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import CtVolume
from clinic_mm.sources.axes import ras_geometry, to_ras
from clinic_mm.sources.dicom_stream import open_dicom
from clinic_mm.sources.header import Header, header_of
from clinic_mm.sources.kinds import group_of, kind_of
from clinic_mm.sources.nifti import find_nifti as find_nifti  # the finder of what this loads
from clinic_mm.sources.nifti import is_nifti, load_nifti
from clinic_mm.sources.pixels import decode
from clinic_mm.sources.series import stack
from clinic_mm.types import Flag

AIR_HU: Final = -1000.0
"""Hounsfield units of air, by the definition of the scale."""
LOWEST_HU: Final = -1500.0
"""Nothing in a body, nor the air around it, measures less; scanners fill the corners with -2000 or -3024."""
VOXEL_LIMIT: Final = 400 * 2**20


def load(files: Sequence[Path], *, locator: str = "", until: datetime | None = None) -> CtVolume:
    """Load one CT.

    Args:
        files: The slices of one DICOM series in any order, or one NIfTI file.
        locator: Not used: the files say it all.
        until: Not used: a CT has one time.

    Raises:
        EvidenceError: With a code: see `sources.series.stack`, `sources.header`, `sources.pixels`, `sources.nifti`.

    Source: DICOM PS3.3 C.11.1 (rescale), C.7.6.2 (position in space); NIfTI-1 (affine, scl_slope).
    """
    if len(files) == 1 and is_nifti(files[0]):
        hu, affine = load_nifti(files[0])
        flags: tuple[Flag, ...] = ()
    else:
        hu, affine, flags = _load_series(files)
    _, spacing_mm = ras_geometry((hu.shape[0], hu.shape[1], hu.shape[2]), affine)
    seen = _fill_outside(hu)
    return CtVolume(to_ras(hu, affine), spacing_mm, (*flags, *seen))


def _load_series(files: Sequence[Path]) -> tuple[Float32[np.ndarray, "column row slice"], np.ndarray, tuple[Flag, ...]]:
    headers: list[Header] = []
    volume = np.empty((0, 0, 0), np.float32)
    for number, path in enumerate(files):
        opened = open_dicom(path)
        header = header_of(path, opened)
        if header.pixels.frames != 1:
            raise EvidenceError("dicom.multiframe", "The file holds several frames", "NumberOfFrames")
        shape = (len(files), header.pixels.rows, header.pixels.columns)
        if number == 0:
            volume = _room(shape)
        if kind_of(header) != "ct" or volume.shape != shape or group_of(header) != group_of((headers or [header])[0]):
            raise EvidenceError("ct.mixed_slices", "The files are not one CT series", "", "Give one series at a time")
        headers.append(header)
        volume[number] = _hounsfield(header, opened.stream)
    placed = stack(headers)
    if placed.order != tuple(range(len(files))):
        volume = volume[list(placed.order)]
    return volume.transpose(2, 1, 0), placed.affine, placed.flags


def _room(shape: tuple[int, int, int]) -> Float32[np.ndarray, "slice row column"]:
    if np.prod(shape, dtype=float) > VOXEL_LIMIT:
        raise EvidenceError("ct.too_large", "The series has more than 400 million voxels", "Rows, Columns")
    return np.empty(shape, np.float32)


def _hounsfield(header: Header, stream: bytes) -> Float32[np.ndarray, "row column"]:
    """Output units = slope * stored value + intercept; padding is air."""
    stored, outside = decode(stream, header.pixels, header.padding)
    slope, intercept = np.float32(header.slope or 0.0), np.float32(header.intercept or 0.0)  # `stack` refuses none
    hu = stored.astype(np.float32) * slope + intercept
    if outside is not None:
        hu[outside] = AIR_HU
    return hu


def _fill_outside(hu: Float32[np.ndarray, "x y z"]) -> tuple[Flag, ...]:
    """Fill what lies outside of the scanner's field with air, and say what looks wrong."""
    flags = []
    lowest, highest = float(hu.min()), float(hu.max())
    if lowest < LOWEST_HU:
        hu[hu < LOWEST_HU] = AIR_HU
        flags.append(Flag(code="ct.filled_with_air", why="Values below -1500 HU stand for no measurement"))
    if highest - lowest < 1.0:
        flags.append(Flag(code="ct.blank", why="All voxels have the same value"))
    elif lowest > -200 or highest < 0:
        flags.append(Flag(code="ct.odd_range", why=f"Values run from {lowest:.0f} to {highest:.0f} HU"))
    return tuple(flags)
