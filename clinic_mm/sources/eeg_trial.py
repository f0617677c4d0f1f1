"""Try a vendor's file in a process of its own before MNE opens it in ours.

In:  format and path of a recording. Out: nothing, where MNE opens it; otherwise an EvidenceError.
"""

import atexit
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import IO, Final

from clinic_mm.errors import EvidenceError

SECONDS: Final = 20.0
"""Opening takes milliseconds; what takes this long is damaged."""
_LOCK: Final = Lock()
_WORKERS: Final[dict[int, subprocess.Popen[str]]] = {}
"""By the process that started it: a forked child must not talk into its parent's pipes."""


def check_opens(kind: str, path: Path) -> None:
    """Open a recording in the worker.

    Raises:
        EvidenceError: `eeg.unreadable`, if MNE cannot open it, if it ends the worker, or takes too long.
    """
    resolved = path.resolve()
    state = resolved.stat()
    request = f"{kind}\t{resolved}"
    if "\n" in request or not _opens(request, state.st_size, state.st_mtime_ns, os.getpid()):
        raise EvidenceError("eeg.unreadable", "MNE cannot open this recording", "", "Export it again, or as EDF+")


@lru_cache(maxsize=1024)
def _opens(request: str, size: int, mtime_ns: int, process: int) -> bool:
    del size, mtime_ns, process  # parts of the key only: a file looked at twice is tried once
    with _LOCK:
        worker = _running()
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            worker.stdin.write(f"{request}\n")
            worker.stdin.flush()
            answer = worker.stdout.readline()
        except OSError:
            answer = ""
        if not answer:  # the file ended the worker: a crash, or its own timer
            close()
        return answer == "yes\n"


def _running() -> subprocess.Popen[str]:
    mine = os.getpid()
    if mine in _WORKERS and _WORKERS[mine].poll() is not None:
        close()
    if mine not in _WORKERS:
        command = [sys.executable, "-m", "clinic_mm.sources.eeg_worker", str(SECONDS)]
        pipe = subprocess.PIPE
        _WORKERS[mine] = subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONIOENCODING": "utf-8:surrogateescape"},  # file names may be in any encoding
            encoding="utf-8",
            errors="surrogateescape",
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


def _close_quietly(pipe: IO[str]) -> None:
    try:
        pipe.close()
    except OSError:
        return  # a request that nobody will read any more
