"""Decode the stored pixels of one DICOM picture.

In:  the stream of a file and its `Layout`, checked.
Out: stored values, rows by columns, integers; the bits above Bits Stored are cleared or carry the sign.

Plain pixels are read here. Compressed ones go to a worker process that is kept warm and started again when it dies:
a crash, a panic or a hang of a decoder is an `EvidenceError` and costs one picture. No rescaling, no colour.
"""

import atexit
import json
import math
import os
import subprocess
import sys
from dataclasses import asdict
from threading import Lock
from typing import IO, Any, Final, TypeAlias

import numpy as np
from jaxtyping import Bool, Integer
from pydicom.uid import ExplicitVRBigEndian

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.layout import Layout
from clinic_mm.sources.pixel_worker import LENGTHS

SECONDS_PER_PICTURE: Final = 20.0
Stored: TypeAlias = np.ndarray[Any, np.dtype[np.integer[Any]]]


def decode(
    stream: bytes, layout: Layout, padding: tuple[int, int] | None = None
) -> tuple[Integer[np.ndarray, "*frame row column"], Bool[np.ndarray, "*frame row column"] | None]:
    """Stored values of a grey picture.

    Args:
        stream: The whole file, inflated where it was deflated.
        layout: Where the pixels lie in it.
        padding: Lowest and highest stored value that stands for no measurement.

    Returns:
        The values, rows by columns (frames by rows by columns where there are several), and where they are padding
        (None where no padding is declared).

    Raises:
        EvidenceError: `dicom.colour`, or what the decoder ran into: see `sources.codestream`, `dicom.undecodable`,
            `dicom.decoder_died`.
    """
    if layout.samples != 1 or not layout.photometric.startswith("MONOCHROME"):
        raise EvidenceError("dicom.colour", "The picture is not in grey values", "PhotometricInterpretation")
    stored = _native(stream, layout) if layout.native else _WORKER.decode(memoryview(stream)[layout.offset :], layout)
    # Padding is compared first: some scanners write it outside of the stored bits.
    outside = None if padding is None else (stored >= padding[0]) & (stored <= padding[1])
    return clear_unused_bits(stored, layout), outside


def clear_unused_bits(stored: Stored, layout: Layout) -> Stored:
    """Clear the bits above Bits Stored, where old files keep overlays, or fill them with the sign; PS3.5 8.1.1."""
    unused = stored.dtype.itemsize * 8 - layout.bits_stored
    if unused <= 0:
        return stored
    if layout.signed:
        return (stored << unused) >> unused
    return stored & stored.dtype.type((1 << layout.bits_stored) - 1)


def _native(stream: bytes, layout: Layout) -> Stored:
    kind = layout.dtype.newbyteorder(">" if layout.transfer_syntax == ExplicitVRBigEndian else "<")
    stored = np.frombuffer(stream, kind, math.prod(layout.shape), layout.offset)
    return stored.astype(layout.dtype, copy=False).reshape(layout.shape)


class _Worker:
    """One warm worker process per process of ours; the lock keeps threads from mixing their pictures."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.lock = Lock()
        self.process: subprocess.Popen[bytes] | None = None
        self.inherited: subprocess.Popen[bytes] | None = None

    def decode(self, encapsulated: bytes | memoryview, layout: Layout) -> Stored:
        with self.lock:
            process = self._running()
            try:
                return self._decode(process, encapsulated, layout)
            except (OSError, EOFError):
                self.close()
                what = f"The decoder crashed or took longer than {self.seconds:g} s"
                raise EvidenceError("dicom.decoder_died", what, "PixelData", "Export it again, uncompressed") from None
            except EvidenceError:
                raise
            except BaseException:
                self.close()  # interrupted half-way, the next answer would belong to this picture
                raise

    def _decode(self, process: subprocess.Popen[bytes], encapsulated: bytes | memoryview, layout: Layout) -> Stored:
        source = process.stdout
        assert source is not None
        _send(process, json.dumps(asdict(layout)).encode(), encapsulated)
        stored = np.empty((layout.frames, layout.rows, layout.columns), layout.dtype)
        for frame in stored:
            head_size, body_size = LENGTHS.unpack(_exactly(source, LENGTHS.size))
            answer = json.loads(_exactly(source, head_size))
            if answer:
                raise EvidenceError(answer["code"], answer["what"], "PixelData", "Export it again, uncompressed")
            if body_size != frame.nbytes or source.readinto(memoryview(frame).cast("B")) != body_size:  # type: ignore[attr-defined]
                raise EOFError
        return stored.reshape(layout.shape)

    def close(self) -> None:
        """End the worker."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
        self.process = None

    def forget(self) -> None:
        """After a fork, in the child: the worker and the state of the lock are the parent's, so start anew."""
        self.inherited, self.process, self.lock = self.process, None, Lock()

    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is not None and self.process.poll() is not None:
            self.close()
        if self.process is None:
            command = [sys.executable, "-m", "clinic_mm.sources.pixel_worker", str(self.seconds)]
            path = os.pathsep.join(part for part in sys.path if part)
            threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
            self.process = subprocess.Popen(  # noqa: S603 - our own module, no part of it comes from a file
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **threads, "PYTHONPATH": path},
                start_new_session=True,
            )
        return self.process


def _send(process: subprocess.Popen[bytes], head: bytes, body: bytes | memoryview) -> None:
    sink = process.stdin
    assert sink is not None
    sink.write(LENGTHS.pack(len(head), len(body)) + head)
    sink.write(body)
    sink.flush()


def _exactly(source: IO[bytes], size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise EOFError
    return data


_WORKER: Final = _Worker(SECONDS_PER_PICTURE)
atexit.register(_WORKER.close)
os.register_at_fork(after_in_child=_WORKER.forget)
