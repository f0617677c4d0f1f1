"""Load a CT as a volume of Hounsfield units in RAS, from DICOM slices, one multi-frame DICOM file or one NIfTI file.

In:  the files of one piece of evidence. Out: `CtVolume`, or `EvidenceError`; nothing outside of the files is read.

A tilted gantry and a spacing that changes by design are repaired and flagged (see `series`, `repair`); beyond that
nothing is resampled, clipped or windowed. What was never measured (padding) becomes air, and air is looked at (`air`).
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Integer

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import CtVolume
from clinic_mm.sources.ct.air import air_flags, fill_outside
from clinic_mm.sources.ct.axes import ras_geometry, to_ras
from clinic_mm.sources.ct.enhanced import frame_headers
from clinic_mm.sources.ct.nifti import find_nifti as find_nifti  # the finder of what this loads
from clinic_mm.sources.ct.nifti import is_nifti, load_nifti
from clinic_mm.sources.ct.odd_slice import odd_slice_flags
from clinic_mm.sources.ct.repair import AIR_HU, check_size, shift_slices, space_evenly
from clinic_mm.sources.ct.series import Stack, stack
from clinic_mm.sources.ct.split import SHARED_NUMBERS, frames_named
from clinic_mm.sources.ct.tilt import is_sheared, upright
from clinic_mm.sources.dicom.header import Header, header_of
from clinic_mm.sources.dicom.kinds import ENHANCED_CT, group_of, kind_of
from clinic_mm.sources.dicom.pixels import decode
from clinic_mm.sources.dicom.stream import Opened, open_dicom
from clinic_mm.types import Flag

Slices = Float32[np.ndarray, "slice row column"]


def load(files: Sequence[Path], *, locator: str = "", until: datetime | None = None) -> CtVolume:
    """Load one CT.

    Args:
        files: The slices of one DICOM series in any order, one enhanced multi-frame DICOM file, or one NIfTI file.
        locator: Which frames of a multi-frame file are meant, or that slices share their numbering (see `split`).
        until: Not used: a CT has one time.

    Raises:
        EvidenceError: With a code: see `sources.dicom.header`, `sources.dicom.pixels`, `sources.ct.nifti` and
            `sources.ct.series.stack`.

    Source: DICOM PS3.3 C.11.1 (rescale), C.7.6.2 (position in space); NIfTI-1 (affine, scl_slope).
    """
    if len(files) == 1 and is_nifti(files[0]):
        hu, affine, flags = _load_nifti(files[0])
    else:
        hu, affine, flags = _load_dicom(files, locator)
    _, spacing_mm = ras_geometry((hu.shape[0], hu.shape[1], hu.shape[2]), affine)
    return CtVolume(to_ras(hu, affine), spacing_mm, flags)


Placed = tuple[Float32[np.ndarray, "x y z"], Float32[np.ndarray, "4 4"], tuple[Flag, ...]]
"""Voxels, their affine to mm in RAS, and what was seen."""


def _load_nifti(path: Path) -> Placed:
    hu, affine, flags = load_nifti(path)
    filled = fill_outside(hu)
    seen = (*flags, *filled, *air_flags(hu, filled=bool(filled)))
    if is_sheared(affine):
        hu, affine, tilted = upright(hu, affine)
        seen = (tilted, *seen)
    return hu, affine, seen


def _load_dicom(files: Sequence[Path], locator: str) -> Placed:
    first, header = opened(files[0])
    if header.sop_class in ENHANCED_CT and len(files) == 1:
        slices, headers = _frames(first, header, locator)
    else:
        slices, headers = _files(files, (first, header))
    placed = stack(headers, numbered=locator != SHARED_NUMBERS)
    filled = fill_outside(slices)
    padded = any(header.padding is not None for header in headers)
    seen = (*filled, *air_flags(slices, filled=padded or bool(filled)))
    if placed.order != tuple(range(len(headers))):
        slices = slices[list(placed.order)]
    seen = (*seen, *odd_slice_flags(slices))
    return _repaired(slices, placed).transpose(2, 1, 0), placed.affine, (*placed.flags, *seen)


def _files(files: Sequence[Path], first: tuple[Opened, Header]) -> tuple[Slices, list[Header]]:
    """Classic slices, one in each file, in the order of the files."""
    headers: list[Header] = []
    slices = np.empty((0, 0, 0), np.float32)
    for number, path in enumerate(files):
        read, header = first if number == 0 else opened(path)
        check_slice(header, (headers or [header])[0])
        if number == 0:
            slices = _room((len(files), header.pixels.rows, header.pixels.columns))
        headers.append(header)
        write_hounsfield(slices[number], header, *decode(read.stream, header.pixels, header.padding))
    return slices, headers


def check_slice(header: Header, first: Header) -> None:
    """Refuse what is no slice of the same CT series as the first.

    Raises:
        EvidenceError: `dicom.multiframe` or `ct.mixed_slices`, or what `kind_of` says.
    """
    if header.pixels.frames != 1:
        raise EvidenceError("dicom.multiframe", "A slice of the series holds several frames", "NumberOfFrames")
    sizes = {(one.pixels.rows, one.pixels.columns) for one in (header, first)}
    if kind_of(header) != "ct" or len(sizes) > 1 or group_of(header) != group_of(first):
        raise EvidenceError("ct.mixed_slices", "The files are not one CT series", "", "Give one series at a time")


def opened(path: Path) -> tuple[Opened, Header]:
    """A whole file, and its header.

    Raises:
        EvidenceError: See `sources.dicom.header`.
    """
    read = open_dicom(path)
    return read, header_of(path, read)


def _frames(read: Opened, header: Header, locator: str) -> tuple[Slices, list[Header]]:
    """Frames of a multi-frame file, in the file's order."""
    kind_of(header)
    every = frame_headers(read, header)
    chosen = frames_named(locator, len(every))
    headers = [every[frame] for frame in chosen]
    stack(headers)  # what makes no volume is told before a hundred frames are decoded
    stored, outside = decode(read.stream, header.pixels, header.padding)
    stored = stored.reshape(len(every), header.pixels.rows, header.pixels.columns)
    slices = _room((len(chosen), header.pixels.rows, header.pixels.columns))
    for out, frame, of in zip(slices, chosen, headers, strict=True):
        write_hounsfield(out, of, stored[frame], None if outside is None else outside.reshape(stored.shape)[frame])
    return slices, headers


def _room(shape: tuple[int, int, int]) -> Slices:
    check_size(shape)
    return np.empty(shape, np.float32)


def write_hounsfield(
    out: Float32[np.ndarray, "row column"],
    header: Header,
    stored: Integer[np.ndarray, "row column"],
    outside: Bool[np.ndarray, "row column"] | None,
) -> None:
    """Output units = slope * stored value + intercept; padding is air."""
    out[...] = stored  # step by step in place: a slice stays in the processor's cache, and no copy is made
    if header.slope != 1.0:
        out *= np.float32(header.slope or 0.0)  # `stack` refuses none
    out += np.float32(header.intercept or 0.0)
    if outside is not None:
        out[outside] = AIR_HU


def _repaired(slices: Slices, placed: Stack) -> Slices:
    """The slices as a right-angled, even volume."""
    check_size(placed.shape)
    if placed.sideways is not None:
        slices = shift_slices(slices, placed.sideways)
    if not placed.even:
        slices = space_evenly(slices, placed.along_mm, placed.step_mm, placed.shape[2])
    assert slices.shape == placed.shape[::-1]
    return slices
