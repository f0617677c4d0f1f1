"""Open one DICOM file within limits and parse it up to its pixels.

In:  a file that claims to be DICOM: with or without preamble, deflated, nested, truncated or hostile.
Out: its data set and its bytes, or `EvidenceError` with a code. pydicom's warnings and errors quote values of the
     header, so they end here: what leaves this module names tags, never contents.

Nothing here decodes pixels.
"""

import logging
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from threading import RLock
from typing import IO, Final

from pydicom import filereader
from pydicom.config import IGNORE, settings
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.dicom.layout import UNDEFINED_LENGTH

logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # it logs header values, which may be a name
# Two letters of each element are decoded by this: the same code page, by the name for which Python has a fast way.
filereader.default_encoding = "latin-1"  # type: ignore[attr-defined]

_LOCK: Final = RLock()
FIRST_LOOK_BYTES: Final = 262_144
HEADER_LIMIT_BYTES: Final = 16 * 2**20
INFLATED_LIMIT_BYTES: Final = 128 * 2**20
BOMB_BYTES: Final = 32 * 2**20
BOMB_RATIO: Final = 200
"""More than 32 MiB out of bytes 200 times smaller is a bomb."""
FILE_LIMIT_BYTES: Final = 512 * 2**20
"""The largest picture that is decoded, a header, and what may stand behind the pixels."""
ELEMENT_HEAD_BYTES: Final = 8
TRANSFER_SYNTAX: Final = 0x00020010
PIXEL_TAGS: Final = frozenset({0x7FE00010, 0x7FE00008, 0x7FE00009})


@dataclass(frozen=True, slots=True)
class Opened:
    """One file opened: its data set without pixels, and the bytes of its stream (inflated where it was deflated)."""

    dataset: Dataset = field(repr=False)
    stream: bytes = field(repr=False)
    tell: int
    stream_size: int
    transfer_syntax: str
    ending: bytes = b""
    """The first bytes behind uncompressed pixels, none where the file ends there as it should."""


def open_dicom(path: Path, *, whole: bool = True) -> Opened:
    """Parse one file up to its pixels.

    Args:
        path: The file.
        whole: Keep the whole stream in memory, for decoding. Without it only the start is read.

    Raises:
        EvidenceError: If the file is empty, too large, not DICOM, or cannot be parsed.
    """
    try:
        size = path.stat().st_size
        if size == 0:
            raise EvidenceError("file.empty", "The file has no bytes", "", "Export it again")
        if size > FILE_LIMIT_BYTES:
            raise _too_large("The file is larger than 512 MiB")
        with path.open("rb") as file:
            raw = file.read(FILE_LIMIT_BYTES) if whole else file.read(FIRST_LOOK_BYTES)
            opened = _parse_or_none(raw, size, file)
            if opened is None:
                opened = _parse_or_none(raw + file.read(HEADER_LIMIT_BYTES - len(raw)), size, file)
            if opened is None:
                raise _too_large("The header is larger than 16 MiB")
            return replace(opened, ending=_ending(opened, file))
    except OSError:
        raise EvidenceError("file.unreadable", "The file cannot be opened", "", "Check its permissions") from None


def pixel_element(opened: Opened) -> tuple[int, int]:
    """Where the pixel data begin in the stream, and their declared length, PS3.5 7.1."""
    start = opened.stream[opened.tell : opened.tell + 12]
    order = ">" if opened.transfer_syntax == ExplicitVRBigEndian else "<"
    if len(start) < 12 or struct.unpack(f"{order}HH", start[:4]) != (0x7FE0, 0x0010):
        raise EvidenceError("dicom.no_pixels", "The file has no pixel data", "PixelData (7FE0,0010)")
    if start[4:6] in {b"OB", b"OW", b"UN"}:
        return opened.tell + 12, struct.unpack(f"{order}L", start[8:])[0]
    return opened.tell + 8, struct.unpack(f"{order}L", start[4:8])[0]


def _ending(opened: Opened, file: IO[bytes]) -> bytes:
    try:
        offset, length = pixel_element(opened)
    except EvidenceError:
        return b""
    end = offset + length
    if length == UNDEFINED_LENGTH or opened.stream_size == len(opened.stream):
        return b"" if length == UNDEFINED_LENGTH else opened.stream[end : end + ELEMENT_HEAD_BYTES]
    file.seek(end)
    return file.read(ELEMENT_HEAD_BYTES)


@contextmanager
def guarded() -> Iterator[None]:
    """The border to pydicom: its warnings are silenced, its errors become ours, and neither can quote a value."""
    with _LOCK:  # pydicom's mode and the warning filters belong to the whole process
        yield from _silenced()


def _silenced() -> Iterator[None]:
    before, settings.reading_validation_mode = settings.reading_validation_mode, IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except EvidenceError:
        raise
    except RecursionError:
        raise EvidenceError("dicom.nested", "Sequences are nested too deeply", "", "Export it again") from None
    except MemoryError:
        raise _too_large("An element declares more than fits in memory") from None
    except Exception:  # noqa: BLE001 - the border: a malformed file can raise anything, and its text may quote a name
        raise EvidenceError("dicom.unreadable", "The header cannot be parsed", "", "Export it again") from None
    finally:
        settings.reading_validation_mode = before


def _too_large(what: str) -> EvidenceError:
    return EvidenceError("dicom.too_large", what, "", "Leave this file out, or export it again without private data")


def _parse_or_none(raw: bytes, size: int, file: IO[bytes]) -> Opened | None:
    """Parse what was read of the file; None where it ends before the pixels, so that more should be read."""
    partly = len(raw) < size
    try:
        file.seek(len(raw))
        opened = _parse(raw, size, partial(file.read, INFLATED_LIMIT_BYTES))
    except EvidenceError as fault:
        if partly and fault.code == "dicom.unreadable":
            return None
        raise
    finally:
        file.seek(len(raw))
    return None if partly and opened.stream is raw and opened.tell + 12 > len(raw) else opened


def _parse(raw: bytes, size: int, read_more: Callable[[], bytes]) -> Opened:
    with guarded():
        stream = BytesIO(raw)
        bare = raw[128:132] != b"DICM"
        stream.seek(0 if bare else 132)
        meta = read_dataset(stream, False, True, stop_when=lambda tag, *_: tag >> 16 != 2)
        syntax = _transfer_syntax(meta)
        if syntax == DeflatedExplicitVRLittleEndian:
            raw = _inflate(raw[stream.tell() :] + read_more())
            size, stream = len(raw), BytesIO(raw)
        elif not syntax:
            syntax = _syntax_by_structure(raw[stream.tell() :][:6], bare=bare and not meta)
        implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
        dataset = read_dataset(stream, implicit, little, stop_when=lambda tag, *_: tag in PIXEL_TAGS)
        return Opened(dataset, raw, stream.tell(), size, syntax)


def _transfer_syntax(meta: Dataset) -> str:
    """As the file meta name it, "" where they do not; not converted by pydicom, which takes longer than all of them."""
    held = meta.get_item(TRANSFER_SYNTAX) if TRANSFER_SYNTAX in meta else None
    value = getattr(held, "value", None) or b""
    return (value.decode("latin-1") if isinstance(value, bytes) else str(value)).strip(" \0")


def _inflate(packed: bytes) -> bytes:
    """PS3.5 A.5, stopped long before a small file can fill the memory."""
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = machine.decompress(packed, BOMB_BYTES)
        if (tail := machine.unconsumed_tail) and (len(packed) - len(tail)) * BOMB_RATIO < len(data):
            raise _too_large("The file unpacks to more than 200 times its size")
        data += machine.decompress(tail, INFLATED_LIMIT_BYTES)
    except zlib.error:
        raise EvidenceError("dicom.truncated", "The deflated data are damaged", "", "Export it again") from None
    if machine.unconsumed_tail:
        raise _too_large("The file unpacks to more than 128 MiB")
    if not machine.eof:
        raise EvidenceError("dicom.truncated", "The deflated data end too early", "", "Export it again")
    return data


def _syntax_by_structure(start: bytes, *, bare: bool) -> str:
    """The transfer syntax of a data set without file meta, seen from its first element (never for one with meta)."""
    if not bare:
        where, mend = "TransferSyntaxUID (0002,0010)", "Export it again"
        raise EvidenceError("dicom.no_transfer_syntax", "The file does not say how it is encoded", where, mend)
    if start[4:6].isalpha():
        return str(ExplicitVRBigEndian if start[:1] == b"\0" else ExplicitVRLittleEndian)
    return str(ImplicitVRLittleEndian)
