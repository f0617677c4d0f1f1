"""Do units in the driver's own process, one after the other: for notebooks, tests and debuggers.

A case that kills its process kills the run, which then waits to be resumed; `local` has no such end.
"""

from collections import deque
from collections.abc import Sequence

from clinic_mm.errors import ClinicError
from clinic_mm.jobs.engines.base import Attempt, Bench
from clinic_mm.jobs.unit import Broken, Outcome, Unit


class Inline:
    """See `engines.base.Engine`."""

    def __init__(self, bench: Bench) -> None:
        self.slots = 1
        self._bench, self._worker = bench, None
        self._waiting: deque[Unit] = deque()

    _worker: Attempt | None

    def submit(self, unit: Unit) -> None:
        """Take a unit."""
        self._waiting.append(unit)

    def wait(self, timeout_s: float) -> Sequence[Outcome]:
        """Do one, however long it takes."""
        del timeout_s
        if not self._waiting:
            return ()
        unit = self._waiting.popleft()
        try:
            self._worker = self._worker or self._bench.hire()
        except ClinicError as error:
            return (Broken(unit.number, error),)
        return (self._worker(unit),)

    def stop(self) -> None:
        """Nothing runs between two calls."""
        self._waiting.clear()
