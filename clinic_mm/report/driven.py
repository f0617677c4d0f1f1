"""Whether somebody is at work on a run now: a lock that the kernel takes away from a process that dies.

In:  a run folder. Out: yes or no. Who holds the lock, and for how long, is the business of `jobs.lock`.
"""

import fcntl
import os
from pathlib import Path
from typing import Final

FILE: Final = "driver.lock"
WATCH: Final = ".watch.lock"
"""Held by a watch, for as long as it watches."""


def is_driven(run: Path, name: str = FILE) -> bool:
    """Whether a driver of this machine is at work on a run.

    Args:
        run: Its folder.
        name: Of the file that is locked.
    """
    try:
        handle = os.open(run / name, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
