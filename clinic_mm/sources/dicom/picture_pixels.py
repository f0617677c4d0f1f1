"""Decode a PNG or JPEG file, upright, as grey or as colour with opacity.

In:  the bytes of a file within limits. Out: its pixels; or `EvidenceError` where it is damaged or stops early.

Runs inside of the pixel worker only: a small file can keep a decoder busy for minutes.
"""

import struct
import zlib
from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image, ImageOps

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.dicom.jpeg import Values, decode_whole

KINDS: Final[dict[str, tuple[str, int]]] = {
    "grey16": ("u2", 1),
    "grey8": ("u1", 1),
    "rgb": ("u1", 3),
    "rgba": ("u1", 4),
}
"""Kind of pixels to their type and number of values."""


def decode_picture(data: bytes, kind: str) -> Values:
    """Pixels of a file, rows by columns (by values), turned as it asks to be.

    Args:
        data: The file.
        kind: One of KINDS; what it is decoded to.

    Raises:
        EvidenceError: `picture.truncated` or `picture.unreadable`.
    """
    (_check_png if data.startswith(b"\x89PNG") else _check_jpeg)(data)
    with Image.open(BytesIO(data), formats=("PNG", "JPEG")) as picture:
        ImageOps.exif_transpose(picture, in_place=True)
        if kind == "grey16":
            return np.asarray(picture).astype(np.uint16)
        mode = "L" if kind == "grey8" else kind.upper()
        return np.asarray(picture if picture.mode == mode else picture.convert(mode))


def _check_png(data: bytes) -> None:
    """Every critical chunk has its checksum, which Pillow does not look at in the last one."""
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">L", data, at)
        body = data[at + 4 : at + 8 + length]
        if body[:1].isupper() and data[at + 8 + length : at + 12 + length] != struct.pack(">L", zlib.crc32(body)):
            raise EvidenceError("picture.unreadable", "The picture is damaged", "", "Export it again")
        at += 12 + length


def _check_jpeg(data: bytes) -> None:
    try:
        decode_whole(data, _brightness)
    except EvidenceError as fault:
        raise EvidenceError("picture.truncated", fault.what, "", fault.mend) from None


def _brightness(data: bytes) -> Values:
    """Without colour, in a third of the memory."""
    with Image.open(BytesIO(data), formats=("JPEG",)) as picture:
        picture.draft("L", picture.size)
        return np.asarray(picture)
