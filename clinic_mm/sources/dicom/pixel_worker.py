"""The process that decodes compressed pixels, so that a malformed file can end it and nothing else.

In:  on stdin, one frame after another: lengths, JSON (its `Codestream`, its `Layout`, the seconds it may take), the
     codestream; or, for a PNG or JPEG file, the kind of its pixels and the file.
Out: on stdout, one empty answer to say that it is there, then one per frame: lengths, JSON, the decoded values.
     It sees no path and no patient.

It holds itself to a limit of memory and of time per frame: a decoder that loops is ended by the kernel's timer.
"""

import json
import os
import resource
import signal
import struct
import warnings
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.dicom import decoders
from clinic_mm.sources.dicom.codestream import Codestream
from clinic_mm.sources.dicom.layout import Layout
from clinic_mm.sources.dicom.picture_pixels import decode_picture

MODULE: Final = "clinic_mm.sources.dicom.pixel_worker"
LENGTHS: Final = struct.Struct(">IQ")
ROOM_BYTES: Final = 288 * 2**20
"""Memory that decoding may take beyond what the process needs to be there. The largest frame that `check_layout` lets
through, 24 million pixels, takes 190 MB of it in the hungriest decoder (JPEG 2000)."""
GROWTH_BYTES: Final = 64 * 2**20
"""What a decoder may have leaked before the process ends, and a new one takes over."""
PAGE_BYTES: Final = resource.getpagesize()


def main() -> None:
    """Serve requests until stdin ends."""
    source = os.fdopen(os.dup(0), "rb")
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # a library that prints must not break the answers
    decoders.load()
    size = _size_now()
    limit = size + ROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold the picture
    warnings.simplefilter("ignore")
    _send(sink, {}, None)
    while len(prefix := source.read(LENGTHS.size)) == LENGTHS.size:
        _serve(source, sink, *LENGTHS.unpack(prefix))
        if _size_now() > size + GROWTH_BYTES:
            return


def _serve(source: BinaryIO, sink: BinaryIO, head_size: int, body_size: int) -> None:
    request, codestream = json.loads(source.read(head_size)), source.read(body_size)
    signal.setitimer(signal.ITIMER_REAL, request["seconds"])
    _send(sink, *_answer(request, codestream))
    signal.setitimer(signal.ITIMER_REAL, 0)


def _answer(request: dict[str, Any], codestream: bytes) -> tuple[dict[str, str], np.ndarray | None]:
    try:
        if "picture" in request:
            return {}, decode_picture(codestream, request["picture"])
        layout = Layout(**request["layout"])
        return {}, decoders.decode_frame(codestream, Codestream(**request["found"]), layout)
    except EvidenceError as error:
        return {"code": error.code, "what": error.what}, None
    except BaseException:  # noqa: BLE001 - the border: a Rust panic is no Exception, and must only cost this picture
        return {"code": "dicom.undecodable", "what": "The compressed pixels cannot be decoded"}, None


def _send(sink: BinaryIO, answer: dict[str, str], values: np.ndarray | None) -> None:
    head = json.dumps(answer).encode()
    body = memoryview(b"") if values is None else np.ascontiguousarray(values).data.cast("B")
    sink.write(LENGTHS.pack(len(head), body.nbytes) + head)
    sink.write(body)
    sink.flush()


def _size_now() -> int:
    """Address space in use; a guess where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * PAGE_BYTES
    except OSError:
        return 2**30


if __name__ == "__main__":
    main()
