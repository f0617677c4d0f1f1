"""Keep one worker process that decodes compressed frames, and start it again when it dies.

In:  a codestream that was held against its header, and room for its values.
Out: the room filled, or `EvidenceError`: a crash, a panic, a hang or a greedy decoder costs one picture.

The worker is `sources.dicom.pixel_worker`.

One worker per process of ours, kept warm: it ends with us, and a forked child starts its own.
"""

import atexit
import json
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from io import FileIO
from threading import Lock
from typing import Any, Final, cast

from clinic_mm.errors import ClinicError, EvidenceError
from clinic_mm.sources.dicom.codestream import Codestream
from clinic_mm.sources.dicom.layout import Layout, Stored
from clinic_mm.sources.dicom.pixel_worker import LENGTHS, MODULE

SECONDS_PER_PICTURE: Final = 5.0
SECONDS_PER_MILLION_PIXELS: Final = 1.0
"""Five times what the slowest decoder (JPEG 2000) takes on an idle core, for a busy machine must cost no picture."""
SECONDS_TO_START: Final = 60.0
GRACE_S: Final = 1.0
"""The worker ends itself in time; this much later it is ended by us, should it not have been able to."""


class DecoderProcess:
    """A worker process behind a lock, which keeps threads from mixing their pictures."""

    def __init__(self, seconds: float = SECONDS_PER_PICTURE, module: str = MODULE) -> None:
        self.seconds, self.module = seconds, module
        self.lock = Lock()
        self.process: subprocess.Popen[bytes] | None = None

    def decode(self, codestream: bytes, found: Codestream, layout: Layout, frame: Stored) -> None:
        """Decode one frame.

        Args:
            codestream: As it is stored.
            found: What it declares; agrees with the layout.
            layout: What the header declares.
            frame: [row, column], contiguous; is filled with the stored values.

        Raises:
            EvidenceError: `dicom.undecodable` or `dicom.decoder_died`.
            ClinicError: Where the worker cannot be started at all.
        """
        self._fill(frame, codestream, {"found": asdict(found), "layout": asdict(layout)})

    def picture(self, data: bytes, kind: str, pixels: Stored) -> None:
        """Decode a PNG or JPEG file.

        Args:
            data: The file, within limits.
            kind: See `sources.dicom.picture_pixels`.
            pixels: [row, column, value], contiguous, as large as the file says; is filled.

        Raises:
            EvidenceError: `picture.truncated`, `picture.unreadable`, `dicom.undecodable` or `dicom.decoder_died`.
            ClinicError: Where the worker cannot be started at all.
        """
        self._fill(pixels, data, {"picture": kind})

    def _fill(self, frame: Stored, codestream: bytes, what: dict[str, Any]) -> None:
        request = json.dumps({**what, "seconds": allowed_s(frame.size, self.seconds)}).encode()
        with self.lock:
            warm = self._warm()
            try:
                self._exchange(request, codestream, frame)
            except (OSError, EOFError) as fault:
                late = self._was_late(fault)
                if late or not warm:
                    raise self._died(late) from None
                self._retry(request, codestream, frame)  # what an earlier picture broke must not cost this one
            except EvidenceError:
                raise  # a whole answer
            except BaseException:
                self.close()  # interrupted half-way, the next answer would belong to this picture
                raise

    def close(self) -> None:
        """End the worker."""
        if self.process is None:
            return
        process, self.process = self.process, None
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def forget(self) -> None:
        """After a fork, in the child: the worker and the state of the lock are the parent's, so start anew."""
        process, self.process, self.lock = self.process, None, Lock()
        if process is not None:
            process.returncode = 0  # not ours to wait for
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def _warm(self) -> bool:
        """Whether the worker ran already; start it where not."""
        if self.process is not None and self.process.poll() is not None:
            self.close()
        if self.process is not None:
            return True
        command = [sys.executable, "-m", self.module]
        path = os.pathsep.join(part for part in sys.path if part)
        # One thread, and large blocks given back at once: what one picture took is there for the next.
        lean = {
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "1",
            "MALLOC_MMAP_THRESHOLD_": "1048576",
        }
        try:
            self.process = subprocess.Popen(  # noqa: S603 - our own module, no part of it comes from a file
                command,
                bufsize=0,  # nothing may wait in a buffer that a fork would copy
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **lean, "PYTHONPATH": path},
                start_new_session=True,
            )
            _receive(self.process, None, SECONDS_TO_START)
        except (OSError, EOFError):
            self.close()
            raise ClinicError("The process that decodes pixels cannot be started", self.module) from None
        return False

    def _exchange(self, request: bytes, codestream: bytes, frame: Stored) -> None:
        assert self.process is not None
        _send(self.process, LENGTHS.pack(len(request), len(codestream)) + request)
        _send(self.process, codestream)
        answer = _receive(self.process, frame, allowed_s(frame.size, self.seconds) + GRACE_S)
        if answer:
            raise EvidenceError(answer["code"], answer["what"], "PixelData", "Export it again, uncompressed")

    def _retry(self, request: bytes, codestream: bytes, frame: Stored) -> None:
        self._warm()
        try:
            self._exchange(request, codestream, frame)
        except (OSError, EOFError) as fault:
            raise self._died(self._was_late(fault)) from None

    def _was_late(self, fault: OSError | EOFError) -> bool:
        """Whether the worker ran out of time; it is ended, if it has not ended."""
        assert self.process is not None
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(0.2)  # a crash closes the pipes a moment before it is over
        late = isinstance(fault, TimeoutError) or self.process.returncode == -signal.SIGALRM
        self.close()
        return late

    def _died(self, late: bool) -> EvidenceError:
        what = "The decoder took too long" if late else "The decoder crashed"
        return EvidenceError("dicom.decoder_died", what, "PixelData", "Export it again, uncompressed")


def allowed_s(pixels: int, start: float = SECONDS_PER_PICTURE) -> float:
    """How long decoding so many pixels may take."""
    return start + SECONDS_PER_MILLION_PIXELS * pixels / 1e6


def _send(process: subprocess.Popen[bytes], data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[cast(FileIO, process.stdin).write(rest) :]


def _receive(process: subprocess.Popen[bytes], frame: Stored | None, seconds: float) -> dict[str, str]:
    """One answer; the values go into the frame."""
    source = cast(FileIO, process.stdout)
    waiting = select.poll()
    waiting.register(source, select.POLLIN)
    if not waiting.poll(seconds * 1000):
        raise TimeoutError
    head_size, body_size = LENGTHS.unpack(_exactly(source, bytearray(LENGTHS.size)))
    answer: dict[str, str] = json.loads(bytes(_exactly(source, bytearray(head_size))))
    if body_size != (0 if answer or frame is None else frame.nbytes):
        raise EOFError
    if body_size and frame is not None:
        _exactly(source, frame.data.cast("B"))
    return answer


def _exactly(source: FileIO, into: bytearray | memoryview) -> bytearray | memoryview:
    rest = memoryview(into)
    while rest:
        size = source.readinto(rest)
        if not size:
            raise EOFError
        rest = rest[size:]
    return into


DECODER: Final = DecoderProcess()
atexit.register(DECODER.close)
os.register_at_fork(after_in_child=DECODER.forget)
