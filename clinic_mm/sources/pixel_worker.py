"""The process that decodes compressed pixels, so that a malformed file can end it and nothing else.

In:  on stdin, one request after another: lengths, the numbers of a `Layout` as JSON, the encapsulated bytes.
Out: on stdout, one answer per frame: lengths, JSON, the decoded values. After a frame with an error no more follow.
     It sees no path and no patient.

It holds itself to a limit of memory and of time per frame: a decoder that loops is ended by the kernel's timer.
"""

import json
import os
import resource
import signal
import struct
import sys
import warnings
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import numpy as np
from pydicom.encaps import generate_frames

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.codestream import declared
from clinic_mm.sources.decoders import decode_frame
from clinic_mm.sources.layout import Layout

LENGTHS: Final = struct.Struct(">IQ")
MEMORY_LIMIT_BYTES: Final = 4 * 2**30


def main() -> None:
    """Serve requests until stdin ends."""
    source = os.fdopen(os.dup(0), "rb")
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # a library that prints must not break the answers
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    warnings.simplefilter("ignore")
    seconds = float(sys.argv[1])
    while len(prefix := source.read(LENGTHS.size)) == LENGTHS.size:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        head_size, body_size = LENGTHS.unpack(prefix)
        layout, encapsulated = Layout(**json.loads(source.read(head_size))), source.read(body_size)
        decoded = frames(layout, encapsulated)
        for _ in range(layout.frames):
            answer, values = _next(decoded)
            _send(sink, answer, values)
            if answer:
                break
            signal.setitimer(signal.ITIMER_REAL, seconds)  # each frame has its own time
        signal.setitimer(signal.ITIMER_REAL, 0)


def frames(layout: Layout, encapsulated: bytes) -> Iterator[np.ndarray[Any, np.dtype[Any]]]:
    """Decode one frame after another; their offset tables and fragments are those of PS3.5 A.4.

    Raises:
        EvidenceError: See `sources.codestream`; `dicom.truncated` where frames are missing.
    """
    # An Extended Offset Table is not needed: it may stand only where each frame is one fragment, PS3.3 C.7.6.3.1.8.
    packed = generate_frames(encapsulated, number_of_frames=layout.frames)
    for number in range(layout.frames):
        codestream = next(packed, None)
        if codestream is None:
            what = f"Only {number} of {layout.frames} frames are stored"
            raise EvidenceError("dicom.truncated", what, "PixelData", "Export it again")
        yield decode_frame(codestream, declared(codestream, layout), layout)


def _next(decoded: Iterator[np.ndarray[Any, np.dtype[Any]]]) -> tuple[dict[str, object], bytes]:
    try:
        return {}, next(decoded).tobytes()
    except EvidenceError as error:
        return {"code": error.code, "what": error.what}, b""
    except BaseException:  # noqa: BLE001 - the border: a Rust panic is no Exception, and must only cost this picture
        return {"code": "dicom.undecodable", "what": "The compressed pixels cannot be decoded"}, b""


def _send(sink: BinaryIO, answer: dict[str, object], values: bytes) -> None:
    head = json.dumps(answer).encode()
    sink.write(LENGTHS.pack(len(head), len(values)) + head)
    sink.write(values)
    sink.flush()


if __name__ == "__main__":
    main()
