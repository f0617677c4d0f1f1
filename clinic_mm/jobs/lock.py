"""One driver per run: a lock on a file in the run's folder, which the kernel takes away from a process that dies.

In:  a run folder. Out: a hold on it for as long as the work lasts. Nothing stale can be left behind.
"""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from clinic_mm.errors import InputError
from clinic_mm.report.atomic import folder_made
from clinic_mm.report.driven import FILE as FILE
from clinic_mm.report.driven import is_driven as is_driven

TRIES: Final = 5
NAP_S: Final = 0.05


@contextmanager
def only_driver(run: Path, name: str = FILE) -> Iterator[None]:
    """Hold a run folder, which is made where it is not there.

    Args:
        run: The folder.
        name: Of the file that is locked: a watch holds another one, for as long as it watches.

    Raises:
        InputError: If another process holds it, or the folder cannot be written.
    """
    try:
        folder_made(run)
        handle = os.open(run / name, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        mend = "Name a folder on a disk that can be written"
        raise InputError(f"The run folder cannot be written: {error.strerror}", str(run), mend) from None
    try:
        _held(handle, run)
        yield
    finally:
        os.close(handle)


def _held(handle: int, run: Path) -> None:
    if not _taken(handle):
        who = os.read(handle, 200).decode(errors="replace").strip()
        mend = f"Wait for {who or 'it'}, stop it, or name another folder"
        raise InputError("Another process screens into this run", str(run), mend)
    os.ftruncate(handle, 0)
    os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())


def _taken(handle: int) -> bool:
    """Take the lock: whoever only looks whether a run is driven holds it for a moment, which must refuse nobody."""
    for last in (False,) * (TRIES - 1) + (True,):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not last:
                time.sleep(NAP_S)
        else:
            return True
    return False
