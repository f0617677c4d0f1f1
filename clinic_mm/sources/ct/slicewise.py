"""Slices of a CT one by one, as they lie in the volume that `volume.load` makes, before the others are decoded.

In:  the files of one series of single slices. Out: a `SliceWise` whose headers have passed every check that `load` does
     of headers, so that its shape stands; a slice of it, decoded when it is asked for; or `EvidenceError`.

Not for what becomes a volume only as a whole: a tilted gantry, changing distances, planes that are not axial. Whether
the other slices can be decoded is not known yet: who shows one must take it back if `load` refuses the series.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.ct.air import fill_outside
from clinic_mm.sources.ct.axes import first_mm, ras_geometry, third_axis, to_ras
from clinic_mm.sources.ct.nifti import is_nifti
from clinic_mm.sources.ct.series import Stack, stack
from clinic_mm.sources.ct.split import SHARED_NUMBERS
from clinic_mm.sources.ct.volume import check_slice, opened, write_hounsfield
from clinic_mm.sources.dicom.header import Elements, Header, header_of
from clinic_mm.sources.dicom.pixels import decode
from clinic_mm.sources.dicom.stream import guarded, open_dicom
from clinic_mm.types import Flag

AXIAL: Final = 2
"""Of RAS, the axis along which the slices of an axial scan lie."""
FRAME_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class SliceWise:
    """A series whose geometry stands and whose pixels are still in their files.

    Attributes:
        shape: Voxels along Right, Anterior, Superior.
        spacing_mm: The same.
        first_mm: Middle of the first voxel along the same axes; None where the axes are turned against the body's.
        frame: Stands for the frame of reference (0020,0052): what shares it can be laid side by side by mm; "" where
            the slices name none or several. A hash: a UID would identify.
        flags: What the headers say; what the pixels say is known when all are decoded.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    first_mm: tuple[float, float, float] | None
    frame: str
    flags: tuple[Flag, ...]
    headers: tuple[Header, ...]
    placed: Stack

    def slice(self, at: int) -> Float32[np.ndarray, "row column"]:
        """An axial slice in HU, rows toward Anterior, columns toward Right: `load(...).hu[:, :, at].T`.

        Args:
            at: From 0, toward Superior.

        Raises:
            EvidenceError: If it cannot be decoded; `file.changed` if it is not the file whose header was checked.
        """
        _, up = third_axis(self.placed.affine)
        header = self.headers[self.placed.order[at if up else self.shape[2] - 1 - at]]
        read, now = opened(header.path)
        if _of_pixels(now) != _of_pixels(header):
            raise EvidenceError("file.changed", "A file changed while it was read", "ct", "Wait until it is written")
        hu = np.empty((1, now.pixels.rows, now.pixels.columns), np.float32)
        write_hounsfield(hu[0], now, *decode(read.stream, now.pixels, now.padding))
        fill_outside(hu)
        return to_ras(hu.transpose(2, 1, 0), self.placed.affine)[:, :, 0].T


def slicewise(files: Sequence[Path], locator: str = "") -> SliceWise | None:
    """Read the headers of a series and check that it makes a volume.

    Args:
        files: Of one piece of evidence, in any order.
        locator: As `volume.load` takes it.

    Returns:
        None where the volume can only be made as a whole.

    Raises:
        EvidenceError: As `volume.load` does of headers.
    """
    if len(files) < 2 or is_nifti(files[0]):  # one file is read as a whole anyway
        return None
    headers: list[Header] = []
    frames: set[str] = set()
    for path in files:
        begun = open_dicom(path, whole=False)
        header = header_of(path, begun)
        check_slice(header, (headers or [header])[0])
        headers.append(header)
        with guarded():
            frames.add(Elements(begun.dataset).text("FrameOfReferenceUID"))
    placed = stack(headers, numbered=locator != SHARED_NUMBERS)
    if placed.sideways is not None or not placed.even or third_axis(placed.affine)[0] != AXIAL:
        return None
    shape, spacing_mm = ras_geometry(placed.shape, placed.affine)
    frame = frames.pop() if len(frames) == 1 else ""
    named = hashlib.sha256(frame.encode()).hexdigest()[:FRAME_DIGITS] if frame else ""
    first = first_mm(placed.shape, placed.affine)
    return SliceWise(shape, spacing_mm, first, named, placed.flags, tuple(headers), placed)


def _of_pixels(header: Header) -> tuple[object, ...]:
    """What decides where a slice lies and what its values are."""
    layout = header.pixels
    shown = (header.sop_uid, header.position, header.slope, header.intercept, header.padding)
    return (*shown, layout.transfer_syntax, layout.shape, layout.bits_stored, layout.signed)
