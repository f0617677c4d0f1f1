"""What a worker process of ours does before it works: Ctrl-C is left to its parent, and it ends where that vanishes.

In:  nothing; called in the worker, first of all (`initializer` of a pool). Out: a thread that waits for the parent.

A parent that is killed outright tells its workers nothing, and a pool's worker that waits for work waits for ever: an
orphan would hold a model in memory, or go on with what nobody asks for any more.
"""

import multiprocessing
import os
import signal
from multiprocessing.connection import wait
from threading import Thread
from typing import Final

ORPHANED: Final = 1
"""Exit code of a worker whose parent has vanished; nobody is left to read it."""


def begin() -> None:
    """Be deaf to Ctrl-C, which the terminal sends to all processes: the parent says what it means. End with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


def end_with_parent() -> None:
    """End this process at once where its parent has ended, however that came; the first process has none to follow.

    Nothing is tidied up: who writes in a worker writes files that are whole or not there (`report.atomic`).
    """
    if parent := multiprocessing.parent_process():
        Thread(target=_end_after, args=(parent.sentinel,), name="end with parent", daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(ORPHANED)
