"""Read what a compressed picture says of itself, before any decoder sees it.

In:  one codestream: JPEG, JPEG-LS, JPEG 2000, HTJ2K or RLE, and the `Layout` that the DICOM header declares.
Out: its rows, columns, components and bits; or `EvidenceError` where they are not those of the header.

A header of 10 x 10 pixels around a codestream of 30,000 x 30,000 is a bomb; one with other bits is a quiet misread.
Nothing here decodes.

Source: ITU-T T.81 B.2.2 (JPEG frame header), T.87 C.2.2 (JPEG-LS), T.800 A.5.1 (JPEG 2000 SIZ), PS3.5 G.5 (RLE header).
"""

import struct
from dataclasses import dataclass
from typing import Final

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.dicom.layout import JPEG_2000, RLE, Layout

END_OF_CODESTREAM: Final = b"\xff\xd9"
"""JPEG EOI and JPEG 2000 EOC alike. A decoder may fill what is missing, so its absence is looked for first."""
END_WITHIN: Final = 16
"""Bytes at the end in which the end mark must stand: padding to an even length, and a little of what writers add."""
JP2_SIGNATURE: Final = b"\x00\x00\x00\x0cjP  "
SOC_SIZ: Final = b"\xff\x4f\xff\x51"
ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
"""JPEG markers without a segment: TEM, RST0 to RST7, SOI."""
NOT_FRAMES: Final = frozenset({0xC4, 0xC8, 0xCC})
"""Markers between SOF0 and SOF15 that begin no frame: DHT, JPG, DAC."""
JPEG_LS_FRAME: Final = 0xF7
START_OF_SCAN: Final = 0xDA
RLE_HEADER: Final = struct.Struct("<16L")


@dataclass(frozen=True, slots=True)
class Codestream:
    """What a codestream declares.

    Attributes:
        bits: Precision of a sample.
        signed: Whether samples carry a sign; None where the format cannot say (all but JPEG 2000).
        process: JPEG frame marker (0xC0 baseline, 0xC1 extended, 0xC3 lossless, 0xF7 JPEG-LS), 0 elsewhere.
    """

    rows: int
    columns: int
    components: int
    bits: int
    signed: bool | None = None
    process: int = 0


def declared(codestream: bytes, layout: Layout) -> Codestream:
    """What the codestream says of itself, held against the header.

    Raises:
        EvidenceError: `dicom.truncated` without an end mark, `dicom.undecodable` without a readable start,
            `dicom.codestream_mismatch` where size, components or bits are not those of the header.
    """
    if layout.transfer_syntax == RLE:
        _check_rle(codestream, layout)
        return Codestream(layout.rows, layout.columns, layout.samples, layout.bits_allocated)
    if END_OF_CODESTREAM not in codestream[-END_WITHIN:]:
        raise EvidenceError("dicom.truncated", "The compressed picture ends too early", "PixelData", "Export it again")
    try:
        found = _jpeg_2000(codestream) if layout.transfer_syntax in JPEG_2000 else _jpeg(codestream)
    except (struct.error, IndexError, ValueError):
        raise EvidenceError("dicom.undecodable", "The compressed picture has no readable start", "PixelData") from None
    _check(found, layout)
    return found


def _check(found: Codestream, layout: Layout) -> None:
    if (found.rows, found.columns) != (layout.rows, layout.columns):
        raise _mismatch("size", "Rows, Columns")
    if found.components != layout.samples:
        raise _mismatch("number of components", "SamplesPerPixel")
    if found.bits > layout.bits_allocated:
        raise _mismatch("bit depth", "BitsAllocated, BitsStored")
    # A signed picture in an unsigned codestream holds the bit pattern: where the sign stands must be certain.
    pattern = layout.signed and not found.signed
    if (pattern and found.bits not in {layout.bits_stored, layout.bits_allocated}) or (
        found.signed and not layout.signed
    ):
        raise _mismatch("sign", "PixelRepresentation, BitsStored")


def _jpeg_2000(codestream: bytes) -> Codestream:
    """The SIZ segment; a JP2 wrapper, which the standard forbids and some write, is looked into."""
    start = codestream.index(SOC_SIZ, 0, 4096) if codestream.startswith(JP2_SIGNATURE) else 0
    if codestream[start : start + 4] != SOC_SIZ:
        raise ValueError
    right, bottom, left, top = struct.unpack(">4L", codestream[start + 8 : start + 24])
    components, precision = struct.unpack(">HB", codestream[start + 40 : start + 43])
    return Codestream(bottom - top, right - left, components, (precision & 0x7F) + 1, precision >= 0x80)


def _jpeg(codestream: bytes) -> Codestream:
    """The first frame header; markers are walked, so that a picture inside of a comment is not taken for it."""
    if codestream[:2] != b"\xff\xd8":
        raise ValueError
    at = 2
    while True:
        if codestream[at] != 0xFF:
            raise ValueError
        marker = codestream[at + 1]
        if marker == 0xFF or marker in ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker == START_OF_SCAN:
            raise ValueError
        if marker == JPEG_LS_FRAME or (0xC0 <= marker <= 0xCF and marker not in NOT_FRAMES):
            bits, rows, columns, components = struct.unpack(">BHHB", codestream[at + 4 : at + 10])
            return Codestream(rows, columns, components, bits, None, marker)
        at += 2 + struct.unpack(">H", codestream[at + 2 : at + 4])[0]


def _check_rle(codestream: bytes, layout: Layout) -> None:
    """One segment per byte of a pixel, in order, inside of the codestream."""
    try:
        count, *offsets = RLE_HEADER.unpack_from(codestream)
    except struct.error:
        raise EvidenceError("dicom.truncated", "The compressed picture ends too early", "PixelData") from None
    if count != layout.samples * layout.bits_allocated // 8:
        raise _mismatch("number of segments", "BitsAllocated, SamplesPerPixel")
    used = offsets[:count]
    if used[0] != RLE_HEADER.size or used != sorted(set(used)) or used[-1] >= len(codestream):
        raise EvidenceError("dicom.undecodable", "The segments of the compressed picture overlap", "PixelData")


def _mismatch(what: str, where: str) -> EvidenceError:
    return EvidenceError(
        "dicom.codestream_mismatch",
        f"The compressed picture has another {what} than the header says",
        where,
        "Export it again",
    )
