"""Read vendors' EEG files in a process of its own: header, and samples page by page.

In:  format and path of a recording.
Out: what its header says, and volts on demand; an EvidenceError where the file ends that process or takes too long.

MNE itself is never loaded here. The process is kept warm, started again when it died, and asked one thing at a time.
"""

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import IO, Any, Final

import numpy as np
from jaxtyping import Float32
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import Pages
from clinic_mm.sources.eeg.worker import LENGTHS, Request

SECONDS: Final = 8.0
"""Opening and reading a page take milliseconds; what takes this long is damaged."""
BATCH: Final = 4_000_000
"""Values asked for at once."""
MEND: Final = "Export it again, or as EDF+"
_LOCKS: Final[dict[int, Lock]] = {}
_WORKERS: Final[dict[int, subprocess.Popen[bytes]]] = {}
"""Both by the process that made them: a forked child must not talk into its parent's pipes."""


class VendorPages(Pages):
    """Channels of a recording that MNE reads; a gap in it has no length."""

    def __init__(self, kind: str, path: Path, rows: Sequence[int], samples: int) -> None:
        self.rows, self.shape = tuple(rows), (len(rows), samples)
        self.request = _request(kind, path)

    def read(self, rows: Sequence[int], start: int, stop: int) -> Float32[Array, "row sample"]:
        """Decode one page.

        Raises:
            EvidenceError: `eeg.unreadable`; `eeg.changed` if the file is not the one whose header was read.
        """
        if _request(self.request["kind"], Path(self.request["path"])) != self.request:
            raise EvidenceError("eeg.changed", "The file changed while it was read", "", "Wait until it is written")
        out = np.empty((len(rows), stop - start), np.float32)
        size = max(1, BATCH // max(1, len(rows)))
        for at in range(start, stop, size):
            end = min(at + size, stop)
            asked = {"do": "read", "rows": [self.rows[row] for row in rows], "start": at, "stop": end}
            head, body = _ask(self.request | asked)
            if head.get("shape") != [len(rows), end - at]:
                raise _unreadable("MNE finds fewer samples than the header promises")
            out[:, at - start : end - start] = np.frombuffer(body, "<f4").reshape(len(rows), end - at)
        return out


def describe(kind: str, path: Path) -> Request:
    """What the header of a recording says: `labels`, `types`, `sfreq_hz`, `samples`, `moment`, `annotations`, ….

    Raises:
        EvidenceError: `eeg.unreadable`, if MNE cannot open it, if it ends the worker, or takes too long.
    """
    request = _request(kind, path)
    told: Request = json.loads(_described(json.dumps(request), os.getpid()))
    if "error" in told:
        raise _unreadable(f"MNE cannot open this recording ({told['error']})")
    return told


@lru_cache(maxsize=64)
def _described(request: str, process: int) -> str:
    del process  # part of the key only
    try:
        return json.dumps(_ask(json.loads(request) | {"do": "open"})[0])
    except EvidenceError:
        return json.dumps({"error": "it crashed, or took too long"})  # a file looked at twice is tried once


def _request(kind: str, path: Path) -> Request:
    resolved = path.resolve()
    state = resolved.stat()
    return {"kind": kind, "path": str(resolved), "state": [state.st_size, state.st_mtime_ns, state.st_ino]}


def _ask(request: Request) -> tuple[dict[str, Any], bytes]:
    with _LOCKS.setdefault(os.getpid(), Lock()):
        worker = _running()
        try:
            return _talk(worker, request)
        except (OSError, EOFError):  # the file ended the worker: a crash, or its own timer
            close()
            raise _unreadable(f"The recording crashed its reader, or took longer than {SECONDS:g} s") from None
        except BaseException:
            close()  # interrupted half-way, the next answer would belong to this request
            raise


def _talk(worker: "subprocess.Popen[bytes]", request: Request) -> tuple[dict[str, Any], bytes]:
    sink, source = worker.stdin, worker.stdout
    assert sink is not None
    assert source is not None
    sink.write(json.dumps(request).encode() + b"\n")  # file names in any encoding: JSON keeps lone surrogates
    sink.flush()
    head_size, body_size = LENGTHS.unpack(_exactly(source, LENGTHS.size))
    head: dict[str, Any] = json.loads(_exactly(source, head_size))
    return head, _exactly(source, body_size)


def _exactly(source: IO[bytes], size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _running() -> "subprocess.Popen[bytes]":
    mine = os.getpid()
    if mine in _WORKERS and _WORKERS[mine].poll() is not None:
        close()
    if mine not in _WORKERS:
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        path = os.pathsep.join(part for part in sys.path if part)
        _WORKERS[mine] = subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
            [sys.executable, "-m", "clinic_mm.sources.eeg.worker", str(SECONDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **threads, "PYTHONPATH": path},
            start_new_session=True,
        )
    return _WORKERS[mine]


@atexit.register
def close() -> None:
    """End this process's worker, if there is one."""
    worker = _WORKERS.pop(os.getpid(), None)
    if worker is None:
        return
    worker.kill()
    worker.wait()
    for pipe in (worker.stdin, worker.stdout):
        if pipe is not None:
            _close_quietly(pipe)


def _close_quietly(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except OSError:
        return  # a request that nobody will read any more


def _unreadable(what: str) -> EvidenceError:
    return EvidenceError("eeg.unreadable", what, "", MEND)
