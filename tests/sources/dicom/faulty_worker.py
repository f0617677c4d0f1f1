"""A pixel worker whose decoder does what the codestream says: crash, hang, eat memory, print, panic."""

import ctypes
import os
import signal
import sys
import time

import numpy as np

from clinic_mm.sources.dicom import decoders, pixel_worker
from clinic_mm.sources.dicom.codestream import Codestream
from clinic_mm.sources.dicom.layout import Layout

MODULE = "tests.sources.dicom.faulty_worker"


class Panic(BaseException):
    pass


def misbehave(codestream: bytes, found: Codestream, layout: Layout) -> np.ndarray:
    del found
    match codestream.decode():
        case "segfault":
            ctypes.string_at(0)
        case "abort":
            os.abort()
        case "leave":
            sys.exit(3)
        case "loop":
            while True:
                pass
        case "sleep":
            time.sleep(60)
        case "deaf":
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
            time.sleep(60)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "greed":
            np.ones(2**28)
        case "leak":
            while ctypes.CDLL(None).malloc(2**26):
                pass
            raise MemoryError
        case "panic":
            raise Panic
        case "print":
            print("x" * 100_000)  # noqa: T201
            os.write(1, b"x" * 100_000)
        case "spoil":
            decoders.decode_frame = lambda *_: os._exit(1)  # type: ignore[assignment]
    return np.full((layout.rows, layout.columns), len(codestream), layout.dtype)


if __name__ == "__main__":
    decoders.decode_frame = misbehave  # type: ignore[assignment]
    pixel_worker.decode_picture = lambda *_: ctypes.string_at(0)  # type: ignore[assignment, return-value]
    pixel_worker.main()
