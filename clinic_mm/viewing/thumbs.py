"""Small pictures for a list of cases: told at once where they are here, else made beside the work, one at a time.

In:  keys of cases. Out: a PNG; b"" where there is nothing to show; None while it is being made.

Whoever asks never waits: finding the study of a case, decoding and drawing it are the work of one thread of low
priority, and of one process at a time for a folder. What is decoded for a small picture is not kept as a view: fifty
cases of a page would drive out what is being read. A study that is held in the view cache is not decoded again.
"""

import fcntl
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from threading import Lock, get_native_id
from typing import Final

import numpy as np

from clinic_mm.errors import ClinicError
from clinic_mm.types import Evidence
from clinic_mm.viewing.cache import DamagedError, ViewCache
from clinic_mm.viewing.study import decoded, view_name
from clinic_mm.viewing.thumb import Small, png, thumb
from clinic_mm.viewing.volume import Readable

VERSION: Final = "thumb 1"
NOTHING: Final = b""
MOST_HELD: Final = 2000
"""PNGs in the memory of one process, a few kB each."""
MOST_WAITING: Final = 64
"""More than the rows of a page: what is asked for before that has been turned over."""
MOST_VOXELS: Final = 512**3
"""A larger CT is drawn once it has been opened; decoding it takes more than 0.5 GB."""
NICE: Final = 5

Found = tuple[Evidence, str, Mapping[str, Path]]
"""A study, its kind and the folders of its roots."""


class Thumbs:
    """Small pictures of the cases of one run.

    Args:
        cache: Where they are kept on disk, in a folder of their own.
        views: Whole studies that have been opened already.
        find: The study that stands for a case; None where it has no picture. May be slow, may raise `ClinicError`.
    """

    def __init__(self, cache: ViewCache, views: ViewCache, find: Callable[[str], Found | None]) -> None:
        self.cache, self.views, self._find = cache, views, find
        self._held: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._waiting: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._lock = Lock()
        self._maker = ThreadPoolExecutor(1, "make thumbs", initializer=_step_back)

    def of(self, case_key: str, stamp: int = 0) -> bytes | None:
        """The PNG of a case; b"" for nothing to show; None while it is being made. Asks no disk and no cohort.

        Args:
            case_key: Of the case.
            stamp: Another one means that the run is another, and what was known no longer holds.
        """
        key = (case_key, stamp)
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
            begun = key in self._waiting
            self._waiting[key] = None
            while len(self._waiting) > MOST_WAITING:
                self._waiting.popitem(last=False)
        if not begun:
            self._maker.submit(self._make_next)
        return None

    def settle(self) -> None:
        """Wait until all that was asked for has been made; for tests and measurements."""
        self._maker.submit(lambda: None).result()

    def close(self) -> None:
        """Begin nothing more."""
        with self._lock:
            self._waiting.clear()
        self._maker.shutdown()

    def _make_next(self) -> None:
        with self._lock:
            key = next(iter(self._waiting), None)
        if key is None:
            return
        try:
            made = self._made(key[0])
        except ClinicError:
            made = NOTHING  # why is told to whoever opens the case
        with self._lock:
            self._waiting.pop(key, None)
            self._held[key] = made
            while len(self._held) > MOST_HELD:
                self._held.popitem(last=False)

    def _made(self, case_key: str) -> bytes:
        found = self._find(case_key)
        if found is None:
            return NOTHING
        view = view_name(*found)
        name = sha256(f"{VERSION}|{view}".encode()).hexdigest()
        with suppress(DamagedError):
            if kept := self.cache.get(name):
                return png(kept.whole()[0].astype(np.uint8))
        with self._alone():
            small = self._drawn(view, found)
        if small is None:
            return NOTHING
        self.cache.drop(name)
        self.cache.keep(name, {"kind": "thumb"}, (1, *small.shape), [small.astype(np.int16)])
        return png(small)

    def _drawn(self, name: str, found: Found) -> Small | None:
        with suppress(DamagedError):
            if view := self.views.get(name):
                return thumb(view)
        if _voxels(found[0]) > MOST_VOXELS:
            return None
        fresh: Readable = decoded(*found)
        return thumb(fresh)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time draws, so that four of them do not take four times the memory."""
        with (self.cache.folder / ".drawing").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _voxels(evidence: Evidence) -> int:
    shape = evidence.meta.get("shape")
    return int(np.prod([int(str(n)) for n in shape], dtype=np.int64)) if isinstance(shape, list) else 0


def _step_back() -> None:
    """Of two threads that want the processor, let the other one have it. Linux has a priority for each thread."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, get_native_id(), NICE)
