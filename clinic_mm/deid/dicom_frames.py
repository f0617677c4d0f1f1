"""Copy compressed frames bit for bit, without what hides between and behind them.

In:  a stream and where its encapsulated pixel data begin. Out: the items up to the delimiter (PS3.5 A.4).

Nothing is decoded. Comments in JPEG, JPEG-LS and JPEG 2000 frames, application data that no decoder needs, and bytes
behind the end of a frame are blanked in place: they may hold a name. No pixel changes.
"""

import struct
from typing import Final

from clinic_mm.errors import EvidenceError

ITEM: Final = b"\xfe\xff\x00\xe0"
END: Final = b"\xfe\xff\xdd\xe0"
START_OF_SCAN: Final = 0xDA
COMMENT: Final = 0xFE
APPLICATION: Final = range(0xE0, 0xF0)
NEEDED: Final = ((b"JFIF\0", 14), (b"Adobe", 12), (b"mrfx", 5))
"""Application data that a decoder reads, with their size: resolution, colour transform of JPEG and of JPEG-LS."""
END_OF_IMAGE: Final = b"\xff\xd9"
CODESTREAM: Final = b"\xff\x4f\xff\x51"
J2K_COMMENT: Final = 0x64
START_OF_TILE: Final = 0x90
JPEG: Final = "1.2.840.10008.1.2.4."


def encapsulated(stream: bytes, at: int, frames: int, syntax: str) -> bytes:
    """The items of encapsulated pixel data with their delimiter.

    Raises:
        EvidenceError: `dicom.truncated` where an item or the delimiter is missing.
    """
    parts: list[bytes] = []
    while stream[at : at + 4] == ITEM:
        (length,) = struct.unpack("<L", stream[at + 4 : at + 8])
        fragment = stream[at + 8 : at + 8 + length]
        if len(fragment) < length:
            raise _truncated()
        if not parts:  # the first is the table of offsets, one number for each frame, or none
            fragment = fragment if len(fragment) == 4 * frames else b""
        elif syntax.startswith(JPEG):
            fragment = blanked(fragment)
        parts.append(ITEM + struct.pack("<L", len(fragment)) + fragment)
        at += 8 + length
    if stream[at : at + 4] != END or len(parts) < 2:
        raise _truncated()
    return b"".join(parts) + END + bytes(4)


def blanked(frame: bytes) -> bytes:
    """A JPEG, JPEG-LS or JPEG 2000 codestream with zeros for its comments and for what follows its end."""
    if frame.startswith(CODESTREAM):
        return _blanked(frame, START_OF_TILE)
    return _blanked(frame, START_OF_SCAN) if frame.startswith(b"\xff\xd8") else frame


def _blanked(frame: bytes, last: int) -> bytes:
    """Walk the segments of the main header: marker, length, content."""
    changed = bytearray(frame)
    at = 2
    while at + 4 <= len(frame) and frame[at] == 0xFF and frame[at + 1] != last:
        (length,) = struct.unpack(">H", frame[at + 2 : at + 4])
        content = frame[at + 4 : at + 2 + length]
        if _hides(frame[at + 1], content, last):
            changed[at + 4 : at + 4 + len(content)] = bytes(len(content))
        at += 2 + length
    end = frame.rfind(END_OF_IMAGE) + len(END_OF_IMAGE)
    if end > at:
        changed[end:] = bytes(len(frame) - end)
    return bytes(changed)


def _hides(marker: int, content: bytes, last: int) -> bool:
    """Whether a decoder passes over this segment, so that anything may stand in it."""
    if last == START_OF_TILE:
        return marker == J2K_COMMENT
    if marker in APPLICATION:
        return not any(content.startswith(name) and len(content) == size for name, size in NEEDED)
    return marker == COMMENT


def _truncated() -> EvidenceError:
    return EvidenceError("dicom.truncated", "The compressed frames end too early", "PixelData", "Export it again")
