"""Follow the chain of tags of a FIF file before MNE does: a damaged chain that runs in a circle hangs MNE for ever.

In:  the path of a FIF file, plain or gzipped.
Out: nothing, where the chain ends; otherwise an EvidenceError.

Source: FIF file format description (Elekta Neuromag), tag: kind, type, size, next, each 4 bytes big-endian.
"""

import gzip
import struct
import zlib
from pathlib import Path
from typing import IO, Final

from clinic_mm.errors import EvidenceError

TAG: Final = struct.Struct(">4i")
FOLLOWS: Final = 0
"""Value of `next` where the next tag stands right behind this one; -1 ends the chain."""
MAX_BYTES: Final = 4 << 30


def check_fif(path: Path) -> None:
    """Walk the tags without reading what they hold.

    Raises:
        EvidenceError: `eeg.header`, if a tag points outside the file or the chain comes back to itself.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            _walk(gzip.GzipFile(fileobj=raw) if packed else raw)
    except (OSError, EOFError, zlib.error):
        raise _bad("The FIF file cannot be read or unpacked") from None


def _walk(file: IO[bytes] | gzip.GzipFile) -> None:
    at, seen = 0, set[int]()
    while True:
        if at in seen or at > MAX_BYTES:
            raise _bad("The FIF file's tags run in a circle, or beyond 4 GiB")
        seen.add(at)
        file.seek(at)
        head = file.read(TAG.size)
        if not head and at:
            return
        if len(head) < TAG.size:
            raise _bad("The FIF file ends within a tag")
        _, _, size, then = TAG.unpack(head)
        if size < 0 or then < -1:
            raise _bad("A tag of the FIF file has no possible size or place")
        if then == -1:
            return
        at = at + TAG.size + size if then == FOLLOWS else then


def _bad(what: str) -> EvidenceError:
    return EvidenceError("eeg.header", what, "", "Save the recording again as FIF")
