"""Load a radiograph as grey values, from DICOM or from PNG or JPEG.

In:  the one file of one piece of evidence. Out: `XrayImage`, or `EvidenceError`; nothing else is read.

Grey is as displayed: a MONOCHROME1 picture and its MONOCHROME2 twin are equal here. What the header says is no chest,
and what does not look like a radiograph at all, is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import XrayImage
from clinic_mm.sources.dicom.header import header_of
from clinic_mm.sources.dicom.kinds import kind_of
from clinic_mm.sources.dicom.layout import Stored
from clinic_mm.sources.dicom.pixels import decode
from clinic_mm.sources.dicom.stream import guarded, open_dicom
from clinic_mm.sources.walk import FileKind, sniff
from clinic_mm.sources.xray.chest import described
from clinic_mm.sources.xray.grey import GreyTransform, read_transform
from clinic_mm.sources.xray.looks import check_looks
from clinic_mm.sources.xray.pictures import find_pictures as find_pictures  # the finder of what this loads
from clinic_mm.sources.xray.pictures import load_picture
from clinic_mm.sources.xray.radiograph import Radiograph


def load(files: Sequence[Path], *, locator: str = "", until: datetime | None = None) -> XrayImage:
    """Load one radiograph.

    Args:
        files: One DICOM, PNG or JPEG file.
        locator: Not used: the file holds one picture.
        until: Not used: a radiograph has one time.

    Raises:
        EvidenceError: With a code: see `sources.dicom.header`, `sources.dicom.kinds`, `sources.dicom.pixels`;
            `chest`, `grey`, `pictures` and `looks` beside this.
    """
    if len(files) != 1:
        raise EvidenceError("xray.several_files", f"A radiograph is one file, not {len(files)}", "", "Give one file")
    if sniff(files[0]) is FileKind.PICTURE:
        grey, flags = load_picture(files[0])
        return XrayImage(grey, None, "", (*flags, *check_looks(grey)))
    return _load_dicom(files[0])


@dataclass(frozen=True, slots=True)
class StoredRadiograph:
    """A radiograph as it lies in its file.

    Attributes:
        stored: Stored values.
        outside: Where they are padding, None where nothing is.
        transform: How they become grey.
        radiograph: What the header says.
    """

    stored: Stored
    outside: Bool[np.ndarray, "row column"] | None
    transform: GreyTransform
    radiograph: Radiograph


def read_stored(path: Path) -> StoredRadiograph:
    """The stored values of one DICOM radiograph and how they become grey.

    Raises:
        EvidenceError: As `load`, save that nothing is said of what the picture looks like.
    """
    opened = open_dicom(path)
    header = header_of(path, opened)
    if kind_of(header) != "xray" or header.radiograph is None:
        raise EvidenceError("dicom.unsupported_modality", "This is a CT slice, not a radiograph", "Modality")
    described(header)  # what the finder refuses is refused here too; its flags lie in the cohort
    with guarded():
        transform = read_transform(opened.dataset, header.pixels)
    stored, outside = decode(opened.stream, header.pixels, header.padding)
    return StoredRadiograph(stored, outside, transform, header.radiograph)


def _load_dicom(path: Path) -> XrayImage:
    found = read_stored(path)
    grey = found.transform(found.stored, found.outside)
    flags = (*found.transform.flags, *check_looks(grey, found.outside))
    return XrayImage(grey, found.radiograph.spacing_mm, found.radiograph.view_position, flags)
