"""How the stored pixels of a DICOM file lie in its stream, in which transfer syntaxes, and whether they can be there.

In:  the numbers of the Image Pixel module, PS3.3 C.7.6.3, and the size of the stream.
Out: a `Layout` that fits together, or `EvidenceError`. Checked before any decoder sees a byte.

Nothing here decodes.
"""

import math
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, Final, TypeAlias

import numpy as np

from clinic_mm.errors import EvidenceError

Stored: TypeAlias = np.ndarray[Any, np.dtype[np.integer[Any]]]
DECODED_LIMIT_BYTES: Final = 384 * 2**20
"""All frames together: 768 slices of 512 x 512 at 16 bits."""
FRAME_LIMIT_PIXELS: Final = 24 * 2**20
"""The largest chest detectors have 4,300 x 4,300; what decoding one frame takes follows from it."""
FRAMES_LIMIT: Final = 16_384
BEHIND_LIMIT_BYTES: Final = 64 * 2**20
"""Behind the pixels come padding or a signature, never a file that is larger than its picture."""
EXPANSION_LIMIT: Final = 256
EXPANSION_FREE_BYTES: Final = 64 * 2**20
"""Up to here a picture may be all of one grey, beyond no real one unpacks to 256 times its size."""
UNDEFINED_LENGTH: Final = 0xFFFFFFFF
# UIDs of PS3.6 table A-1, spelled out: the worker process reads this module, and pydicom takes long to import.
IMPLICIT_LITTLE: Final = "1.2.840.10008.1.2"
EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG: Final = "1.2.840.10008.1.2.2"
JPEG_BASELINE: Final = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED: Final = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS: Final = frozenset({"1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"})
JPEG_LS_LOSSLESS: Final = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR: Final = "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS: Final = "1.2.840.10008.1.2.4.90"
JPEG_2000_LOSSY: Final = "1.2.840.10008.1.2.4.91"
HTJ2K_LOSSLESS: Final = frozenset({"1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202"})
HTJ2K_LOSSY: Final = "1.2.840.10008.1.2.4.203"
RLE: Final = "1.2.840.10008.1.2.5"

NATIVE: Final = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, DEFLATED, EXPLICIT_BIG})
JPEG: Final = frozenset({JPEG_BASELINE, JPEG_EXTENDED}) | JPEG_LOSSLESS
JPEG_LS: Final = frozenset({JPEG_LS_LOSSLESS, JPEG_LS_NEAR})
JPEG_2000: Final = frozenset({JPEG_2000_LOSSLESS, JPEG_2000_LOSSY, HTJ2K_LOSSY}) | HTJ2K_LOSSLESS
COMPRESSED: Final = JPEG | JPEG_LS | JPEG_2000 | {RLE}
LOSSY: Final = frozenset({JPEG_BASELINE, JPEG_EXTENDED, JPEG_LS_NEAR, JPEG_2000_LOSSY, HTJ2K_LOSSY})
NEWER: Final = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
}
"""Registered in PS3.6 after the dictionary of pydicom was made."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The stored pixels of one file: their shape, their bits, and where they begin."""

    transfer_syntax: str
    rows: int
    columns: int
    frames: int
    samples: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    photometric: str
    offset: int
    length: int

    @property
    def native(self) -> bool:
        """Whether the pixels are stored as plain numbers, so that no decoder is needed."""
        return self.transfer_syntax in NATIVE

    @property
    def decoded_bytes(self) -> int:
        """Size of the pixels once decoded."""
        return math.ceil(self.rows * self.columns * self.frames * self.samples * self.bits_allocated / 8)

    @property
    def padded(self) -> bool:
        """Whether more bytes are stored than the picture needs (one for an even length is normal)."""
        return self.native and self.length > self.decoded_bytes + 1

    @property
    def lossy_syntax(self) -> bool:
        """Whether the transfer syntax may lose detail (JPEG 2000 and near-lossless JPEG-LS may also not)."""
        return self.transfer_syntax in LOSSY

    @property
    def needs_extra(self) -> bool:
        """Whether this is JPEG lossless, or JPEG with more than 8 bits, which the default decoders do not read."""
        more_bits = self.transfer_syntax == JPEG_EXTENDED and self.bits_stored > 8
        return self.transfer_syntax in JPEG_LOSSLESS or more_bits

    @property
    def dtype(self) -> np.dtype[np.integer[Any]]:
        """The integer type of the stored values."""
        return np.dtype(f"{'i' if self.signed else 'u'}{self.bits_allocated // 8}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns; frames go before them where there are several."""
        return (self.rows, self.columns) if self.frames == 1 else (self.frames, self.rows, self.columns)


def check_layout(layout: Layout, high_bit: int | None, stream_size: int) -> None:
    """Refuse pixels that cannot be what the header says.

    Raises:
        EvidenceError: `dicom.bad_value`, `dicom.too_large`, `dicom.truncated`, `dicom.unsupported_syntax` or
            `dicom.needs_extra`.
    """
    if layout.rows < 1 or layout.columns < 1 or layout.frames < 1 or layout.samples not in {1, 3}:
        raise EvidenceError("dicom.bad_value", "The picture has no rows or no columns", "Rows, Columns")
    if layout.bits_allocated not in {8, 16, 32} or not 1 <= layout.bits_stored <= layout.bits_allocated:
        raise EvidenceError("dicom.bad_value", "The bit depth does not fit together", "BitsAllocated, BitsStored")
    if high_bit is not None and high_bit != layout.bits_stored - 1:
        raise EvidenceError("dicom.bad_value", "The bit depth does not fit together", "HighBit, BitsStored")
    _check_size(layout, stream_size)
    _check_syntax(layout)
    if layout.native and (layout.decoded_bytes > min(layout.length, stream_size - layout.offset)):
        raise EvidenceError(
            "dicom.truncated", "Pixel data are shorter than the picture", "PixelData", "Export it again"
        )
    if layout.native == (layout.length == UNDEFINED_LENGTH):
        raise EvidenceError("dicom.bad_value", "Pixel data are not packed as the transfer syntax says", "PixelData")


def _check_size(layout: Layout, stream_size: int) -> None:
    """Nothing is decoded that could not be held: the limits of PS3.3 are far beyond any memory."""
    bomb = layout.decoded_bytes > max(EXPANSION_FREE_BYTES, EXPANSION_LIMIT * (stream_size - layout.offset))
    if layout.rows * layout.columns > FRAME_LIMIT_PIXELS:
        what = "A frame declares more than 24 million pixels"
    elif layout.decoded_bytes > DECODED_LIMIT_BYTES or layout.frames > FRAMES_LIMIT:
        what = "The picture declares more than 384 MiB or 16,384 frames"
    elif bomb and not layout.native:
        what = "The picture would unpack to more than 256 times its size"
    elif stream_size - layout.offset > layout.decoded_bytes + BEHIND_LIMIT_BYTES:
        what = "More than 64 MiB are stored that are no part of the picture"
    else:
        return
    raise EvidenceError("dicom.too_large", what, "Rows, Columns, NumberOfFrames", "Leave this file out")


def _check_syntax(layout: Layout) -> None:
    where = "TransferSyntaxUID (0002,0010)"
    if layout.transfer_syntax not in NATIVE | COMPRESSED:
        what = f"The transfer syntax is not supported: {syntax_name(layout.transfer_syntax)}"
        mend = "Export it as Explicit VR Little Endian or JPEG 2000 lossless"
        raise EvidenceError("dicom.unsupported_syntax", what, where, mend)
    if layout.needs_extra and not _has_extra():
        what = "JPEG lossless and 12-bit JPEG need an optional decoder"
        raise EvidenceError("dicom.needs_extra", what, where, 'Run: pip install "clinic_mm[jpeg-lossless]"')


def syntax_name(transfer_syntax: str) -> str:
    """The name that PS3.6 gives a transfer syntax; the text of any other UID is the file's, and is not repeated."""
    from pydicom.uid import UID_dictionary  # type: ignore[attr-defined]

    name, kind, *_ = UID_dictionary.get(transfer_syntax, ("", ""))
    return name if kind == "Transfer Syntax" else NEWER.get(transfer_syntax, "an unknown transfer syntax")


@cache
def _has_extra() -> bool:
    return find_spec("imagecodecs") is not None
