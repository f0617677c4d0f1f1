"""A CT whose slices can be seen while the rest of it is being decoded.

In:  a `SliceWise` (headers checked), later the whole volume. Out: planes as int16 HU, as `volume.FreshVolume` has them.

One axial slice is decoded at once when it is asked for; whatever needs more waits for the whole. What was shown early
is held against the whole when that is there: it is the same, or the study is refused.
"""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Event, Lock
from typing import Any, Final

import numpy as np
from jaxtyping import Int16
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.ct.slicewise import SliceWise
from clinic_mm.viewing.volume import Readable, to_int16, told_of

FIRST_WAIT_S: Final = 0.5
"""The rest begins when a first slice has been taken or the whole is waited for, or after this long: a slice must not
share the processor."""


class ComingVolume:
    """A volume of which single axial slices can be had before `finish` has made all of it."""

    def __init__(self, series: SliceWise) -> None:
        self.shape = series.shape[::-1]
        self._series = series
        self._whole: Future[Readable] = Future()
        self._early: dict[int, Int16[Array, "row column"]] = {}
        self._lock = Lock()
        self._taken = Event()

    @property
    def told(self) -> dict[str, Any]:
        """As `told_of`; the flags of pixels are among them when all are decoded."""
        series = self._series
        told = told_of(series, series.frame, series.first_mm)
        done = self._whole.done() and not self._whole.exception()
        return {**told, "flags": self._whole.result().told["flags"]} if done else told

    def read(self, first: int, stop: int) -> Int16[Array, "slice row column"]:
        """Slices `first` to `stop`; one alone is decoded at once.

        Raises:
            EvidenceError: If it cannot be decoded, or the reader refuses the series.
        """
        if self._whole.done() or stop - first != 1:
            return self.finished().read(first, stop)
        found = self._early.get(first)
        if found is None:
            found = to_int16(self._series.slice(first))
        with self._lock:
            self._taken.set()
            if not self._whole.done():
                self._early[first] = found
                return found[None]
        return self.finished().read(first, stop)  # it came meanwhile: nothing is shown that was not held against it

    def whole(self) -> Int16[Array, "slice row column"]:
        """All slices, waited for.

        Raises:
            EvidenceError: As `read`.
        """
        return self.finished().whole()

    def finished(self) -> Readable:
        """The whole, waited for; it begins now, without a first slice.

        Raises:
            EvidenceError: If the reader refuses the series.
        """
        self._taken.set()
        return self._whole.result()

    def finish(self, make: Callable[[], Readable]) -> None:
        """Make the whole, and hold what was shown against it.

        Raises:
            EvidenceError: As `make`; `ct.changed` if it is not the volume of which slices were shown.
        """
        self._taken.wait(FIRST_WAIT_S)
        try:
            whole = make()
        except BaseException as error:
            self._whole.set_exception(error)
            raise
        with self._lock:
            if self._is_shown_by(whole):
                self._whole.set_result(whole)
                self._early.clear()
                return
        changed = EvidenceError("ct.changed", "The series changed while it was read", "ct", "Open the case again")
        self._whole.set_exception(changed)
        raise changed

    def _is_shown_by(self, whole: Readable) -> bool:
        """Whether what was shown early is what the whole holds there."""
        same = (np.array_equal(whole.read(at, at + 1)[0], shown) for at, shown in self._early.items())
        return whole.told["shape"] == list(self._series.shape) and all(same)
