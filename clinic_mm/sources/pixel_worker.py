"""The process that decodes compressed pixels, so that a malformed file can end it and nothing else.

In:  on stdin, one request after another: lengths, the numbers of a `Layout` as JSON, the encapsulated bytes.
Out: on stdout, one answer each: lengths, JSON, the decoded values. It sees no path and no patient.

It holds itself to a limit of memory and of time per request: a decoder that loops is ended by the kernel's timer.
"""

import json
import os
import resource
import signal
import struct
import sys
import warnings
from typing import Any, BinaryIO, Final

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, RLELossless

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.layout import Layout

LENGTHS: Final = struct.Struct(">IQ")
MEMORY_LIMIT_BYTES: Final = 4 * 2**30
END_OF_CODESTREAM: Final = b"\xff\xd9"
"""JPEG EOI and JPEG 2000 EOC alike. A decoder may fill what is missing, so its absence is looked for first."""


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
        _answer(source, sink, *LENGTHS.unpack(prefix))
        signal.setitimer(signal.ITIMER_REAL, 0)


def decode(layout: Layout, encapsulated: bytes) -> np.ndarray[Any, np.dtype[Any]]:
    """Decode one compressed frame.

    Raises:
        EvidenceError: `dicom.truncated` if the codestream has no end.
    """
    codestream = next(iter(generate_frames(encapsulated, number_of_frames=1)))
    if layout.transfer_syntax != RLELossless and END_OF_CODESTREAM not in codestream[-16:]:
        raise EvidenceError("dicom.truncated", "The compressed picture ends too early", "PixelData", "Export it again")
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(layout.transfer_syntax)
    dataset.Rows, dataset.Columns = layout.rows, layout.columns
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = layout.samples, layout.photometric
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = (
        layout.bits_allocated,
        layout.bits_stored,
        layout.bits_stored - 1,
    )
    dataset.PixelRepresentation = int(layout.signed)
    dataset.PixelData = encapsulated
    dataset["PixelData"].is_undefined_length = True
    array, _ = get_decoder(layout.transfer_syntax).as_array(dataset, raw=True, decoding_plugin=layout.plugin)
    return np.asarray(array)


def _answer(source: BinaryIO, sink: BinaryIO, head_size: int, body_size: int) -> None:
    head, body = source.read(head_size), source.read(body_size)
    values = b""
    try:
        array = decode(Layout(**json.loads(head)), body)
        values = array.tobytes()
        answer: dict[str, object] = {"dtype": array.dtype.str, "shape": array.shape}
    except EvidenceError as error:
        answer = {"code": error.code, "what": error.what}
    except BaseException:  # noqa: BLE001 - the border: a Rust panic is no Exception, and must only cost this picture
        answer = {"code": "dicom.undecodable", "what": "The compressed pixels cannot be decoded"}
    reply = json.dumps(answer).encode()
    sink.write(LENGTHS.pack(len(reply), len(values)) + reply + values)
    sink.flush()


if __name__ == "__main__":
    main()
