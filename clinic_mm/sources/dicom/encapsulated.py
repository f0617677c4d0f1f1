"""Split encapsulated pixel data into the codestreams of its frames.

In:  the bytes from the first item of the pixel data on, and how many frames the header declares.
Out: one codestream per frame, in order, with or without an offset table, whole or in fragments; or `EvidenceError`.

Nothing here decodes, and nothing is repaired: pydicom's own splitter shortens a cut item and trusts any offset table.
An Extended Offset Table is not needed: it stands only where each frame is one fragment (PS3.3 C.7.6.3.1.8).

Source: DICOM PS3.5 A.4.
"""

import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, TypeAlias

from clinic_mm.errors import EvidenceError

ITEM: Final = 0xE000FFFE
END_OF_ITEMS: Final = 0xE0DDFFFE
"""Tags as one little-endian number; encapsulated pixel data are always little endian."""
TAG_LENGTH: Final = struct.Struct("<LL")
FRAGMENTS_PER_FRAME: Final = 4096
END_OF_IMAGE: Final = b"\xff\xd9"
Fragment: TypeAlias = tuple[int, int, int]
"""Offset of the item, first byte of its content, byte after its content."""


def codestreams(encapsulated: memoryview, frames: int) -> Iterator[bytes]:
    """The codestream of each frame.

    Args:
        encapsulated: From the item of the Basic Offset Table on; what follows the last item is not looked at.
        frames: Number of Frames (0028,0008).

    Raises:
        EvidenceError: `dicom.truncated` where an item or a frame is missing, `dicom.bad_value` where the items or the
            offset table cannot be those of the frames.
    """
    table, *fragments = _items(encapsulated, 1 + frames * FRAGMENTS_PER_FRAME)
    for parts in _by_frame(encapsulated, bytes(encapsulated[table[1] : table[2]]), fragments, frames):
        yield b"".join(encapsulated[start:end] for _, start, end in parts)


def _items(encapsulated: memoryview, most: int) -> list[Fragment]:
    items: list[Fragment] = []
    at = 0
    while at + TAG_LENGTH.size <= len(encapsulated):
        tag, length = TAG_LENGTH.unpack_from(encapsulated, at)
        if tag == END_OF_ITEMS and items:
            return items
        start, end = at + TAG_LENGTH.size, at + TAG_LENGTH.size + length
        if tag != ITEM or len(items) > most:
            raise _bad("The compressed pixel data are not a row of items")
        if end > len(encapsulated):
            raise _cut()
        items.append((at, start, end))
        at = end
    if not items:
        raise _cut()
    return items  # without a delimiter at the end: whether a frame is missing is told by their number


def _by_frame(
    encapsulated: memoryview, table: bytes, fragments: list[Fragment], frames: int
) -> Iterator[list[Fragment]]:
    if len(fragments) < frames:
        what = f"Only {len(fragments)} of {frames} frames are stored"
        raise EvidenceError("dicom.truncated", what, "PixelData, NumberOfFrames", "Export it again")
    if frames == 1 or len(fragments) == frames:
        starts = [0] if frames == 1 else list(range(frames))
    elif table:
        starts = _starts_by_table(table, fragments)
    else:
        ends = [END_OF_IMAGE in bytes(encapsulated[max(start, end - 16) : end]) for _, start, end in fragments]
        starts = [0, *(number + 1 for number, last in enumerate(ends[:-1]) if last)]
    if len(starts) != frames:
        raise _bad("The fragments are not those of the frames")
    for first, last in pairwise([*starts, len(fragments)]):
        yield fragments[first:last]


def _starts_by_table(table: bytes, fragments: list[Fragment]) -> list[int]:
    """Which fragment each frame begins with, by the Basic Offset Table."""
    number_at = {at - fragments[0][0]: number for number, (at, _, _) in enumerate(fragments)}
    offsets = struct.unpack(f"<{len(table) // 4}L", table[: len(table) // 4 * 4])
    starts = [number_at.get(offset, -1) for offset in offsets]
    if -1 in starts or starts != sorted(set(starts)) or starts[0] != 0:
        raise _bad("The offset table does not point at the frames")
    return starts


def _cut() -> EvidenceError:
    return EvidenceError("dicom.truncated", "The compressed picture ends too early", "PixelData", "Export it again")


def _bad(what: str) -> EvidenceError:
    return EvidenceError("dicom.bad_value", what, "PixelData (7FE0,0010)", "Export it again")
