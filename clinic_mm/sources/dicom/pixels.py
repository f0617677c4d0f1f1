"""Decode the stored pixels of one DICOM picture.

In:  the stream of a file and its `Layout`, checked.
Out: stored values, rows by columns (frames first where there are several), integers; the bits above Bits Stored are
     cleared or carry the sign.

Plain pixels are read here. A compressed frame is held against the header and goes to a worker process; what becomes of
it there can only cost this picture. No rescaling, no colour.
"""

import math
import time
from typing import Final

import numpy as np
from jaxtyping import Bool, Integer

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.dicom.codestream import declared
from clinic_mm.sources.dicom.decoder_process import DECODER, allowed_s
from clinic_mm.sources.dicom.encapsulated import codestreams
from clinic_mm.sources.dicom.layout import EXPLICIT_BIG, JPEG, JPEG_2000, JPEG_LS, Layout, Stored

LIMITED_BY_BITS: Final = JPEG | JPEG_LS | JPEG_2000
"""Here a value has as many bits as it needs: what lies above Bits Stored is no overlay, the header is wrong."""


def decode(
    stream: bytes, layout: Layout, padding: tuple[int, int] | None = None
) -> tuple[Integer[np.ndarray, "*frame row column"], Bool[np.ndarray, "*frame row column"] | None]:
    """Stored values of a grey picture.

    Args:
        stream: The whole file, inflated where it was deflated.
        layout: Where the pixels lie in it.
        padding: Lowest and highest stored value that stands for no measurement.

    Returns:
        The values, and where they are padding (None where no padding is declared).

    Raises:
        EvidenceError: `dicom.colour`, or what the picture ran into: see `encapsulated`, `codestream` and
            `decoder_process` beside this.
    """
    if layout.samples != 1 or not layout.photometric.startswith("MONOCHROME"):
        raise EvidenceError("dicom.colour", "The picture is not in grey values", "PhotometricInterpretation")
    stored = _native(stream, layout) if layout.native else _compressed(memoryview(stream)[layout.offset :], layout)
    # Padding is compared first: some scanners write it outside of the stored bits.
    outside = None if padding is None else _between(stored, *sorted(_as_stored(end, layout) for end in padding))
    if _fits(stored, layout):
        return stored, outside
    if layout.transfer_syntax in LIMITED_BY_BITS and not _fits(stored if outside is None else stored[~outside], layout):
        what, where = "The compressed picture has values beyond the bits that the header says", "BitsStored (0028,0101)"
        raise EvidenceError("dicom.codestream_mismatch", what, where, "Export it again")
    return clear_unused_bits(stored, layout), outside


def clear_unused_bits(stored: Stored, layout: Layout) -> Stored:
    """Clear the bits above Bits Stored, where old files keep overlays, or fill them with the sign; PS3.5 8.1.1."""
    if layout.signed:
        unused = layout.bits_allocated - layout.bits_stored
        return (stored << unused) >> unused
    return stored & ((1 << layout.bits_stored) - 1)


def _fits(stored: Stored, layout: Layout) -> bool:
    """Whether all values lie within Bits Stored."""
    if layout.bits_stored == layout.bits_allocated or stored.size == 0:
        return True
    if layout.signed:
        limit = 1 << (layout.bits_stored - 1)
        return bool(-limit <= stored.min() and stored.max() < limit)
    return bool(stored.max() < 1 << layout.bits_stored)


def _between(stored: Stored, low: int, high: int) -> Bool[np.ndarray, "*frame row column"]:
    return stored == low if low == high else (stored >= low) & (stored <= high)


def _as_stored(padding: int, layout: Layout) -> int:
    """Padding in the stored type: some writers give a negative value as an unsigned number, or the other way round."""
    if layout.signed and padding >= 1 << (layout.bits_allocated - 1):
        return padding - (1 << layout.bits_allocated)
    return padding + (1 << layout.bits_allocated) if padding < 0 and not layout.signed else padding


def _native(stream: bytes, layout: Layout) -> Stored:
    count = math.prod(layout.shape)
    big = layout.transfer_syntax == EXPLICIT_BIG
    if big and layout.bits_allocated == 8 and stream[layout.offset - 8 : layout.offset - 6] == b"OW":
        return _out_of_big_words(stream[layout.offset : layout.offset + count + count % 2], layout)
    stored = np.frombuffer(stream, layout.dtype.newbyteorder(">" if big else "<"), count, layout.offset)
    return stored.astype(layout.dtype, copy=False).reshape(layout.shape)


def _out_of_big_words(pairs: bytes, layout: Layout) -> Stored:
    """Bytes that lie two by two in words whose high byte comes first, PS3.5 8.1.2 and D.1."""
    if len(pairs) % 2:
        raise EvidenceError("dicom.truncated", "Pixel data are shorter than the picture", "PixelData")
    swapped = np.frombuffer(pairs, ">u2").astype("<u2").view(layout.dtype)
    return swapped[: math.prod(layout.shape)].reshape(layout.shape)


def _compressed(encapsulated: memoryview, layout: Layout) -> Stored:
    """Frame by frame, so that neither side ever holds more than one beside the result."""
    until = time.monotonic() + allowed_s(math.prod(layout.shape))
    stored = np.empty((layout.frames, layout.rows, layout.columns), layout.dtype)
    for frame, codestream in zip(stored, codestreams(encapsulated, layout.frames), strict=True):
        if time.monotonic() > until:
            raise EvidenceError("dicom.decoder_died", "Decoding all frames takes too long", "PixelData, NumberOfFrames")
        DECODER.decode(codestream, declared(codestream, layout), layout, frame)
    return stored.reshape(layout.shape)
