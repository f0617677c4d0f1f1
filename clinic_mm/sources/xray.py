"""Load a radiograph as grey values, from DICOM or from PNG or JPEG.

In:  the one file of one piece of evidence. Out: `XrayImage`, or `EvidenceError`; nothing else is read.

Grey is as displayed: a MONOCHROME1 picture and its MONOCHROME2 twin are equal here.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import XrayImage
from clinic_mm.sources.dicom_stream import guarded, open_dicom
from clinic_mm.sources.grey import to_grey
from clinic_mm.sources.header import header_of
from clinic_mm.sources.kinds import kind_of
from clinic_mm.sources.pictures import find_pictures as find_pictures  # the finder of what this loads
from clinic_mm.sources.pictures import load_picture
from clinic_mm.sources.pixels import decode
from clinic_mm.sources.walk import FileKind, sniff
from clinic_mm.types import Flag

SATURATED_SHARE: Final = 0.5


def load(files: Sequence[Path], *, locator: str = "", until: datetime | None = None) -> XrayImage:
    """Load one radiograph.

    Args:
        files: One DICOM, PNG or JPEG file.
        locator: Not used: the file holds one picture.
        until: Not used: a radiograph has one time.

    Raises:
        EvidenceError: With a code: see `sources.header`, `sources.kinds`, `sources.pixels`, `sources.pictures`.
    """
    if len(files) != 1:
        raise EvidenceError("xray.several_files", f"A radiograph is one file, not {len(files)}", "", "Give one file")
    if sniff(files[0]) is FileKind.PICTURE:
        grey, flags = load_picture(files[0])
        return XrayImage(grey, None, "", (*flags, *_seen(grey)))
    return _load_dicom(files[0])


def _load_dicom(path: Path) -> XrayImage:
    opened = open_dicom(path)
    header = header_of(path, opened)
    if kind_of(header) != "xray":
        raise EvidenceError("dicom.unsupported_modality", "This is a CT slice, not a radiograph", "Modality")
    if header.pixels.frames != 1:
        raise EvidenceError("dicom.multiframe", "The file holds several frames", "NumberOfFrames")
    stored, outside = decode(opened.stream, header.pixels, header.padding)
    with guarded():
        grey, flags = to_grey(stored, outside, opened.dataset)
    spacing = header.pixel_spacing_mm
    spacing_mm = None if spacing is None or min(spacing) <= 0 else (spacing[0], spacing[1])
    return XrayImage(grey, spacing_mm, header.view_position, (*flags, *_seen(grey)))


def _seen(grey: Float32[np.ndarray, "row column"]) -> tuple[Flag, ...]:
    if np.ptp(grey) < 1 / 255:
        return (Flag(code="xray.blank", why="The whole picture has one grey value"),)
    ends = np.count_nonzero((grey <= 0.0) | (grey >= 1.0)) / grey.size
    if ends > SATURATED_SHARE:
        return (Flag(code="xray.saturated", why=f"{ends:.0%} of the picture is fully black or fully white"),)
    return ()
