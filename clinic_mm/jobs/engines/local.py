"""Do units in worker processes on this machine: each holds the model, and one unit at a time.

In:  units. Out: outcomes. A worker that vanishes (killed, out of memory, a crash in a decoder) or hangs is replaced,
and exactly the unit that it held has died: every worker has a pipe of its own, so the others notice nothing. A worker
whose driver vanishes ends itself.
"""

import multiprocessing
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Final

from clinic_mm.errors import ClinicError
from clinic_mm.jobs.engines.base import Attempt, Bench
from clinic_mm.jobs.unit import Broken, Died, Outcome, Unit
from clinic_mm.worker_process import begin

GONE: Final = (EOFError, OSError)
"""What a pipe raises whose other end has vanished."""
JOIN_S: Final = 2.0


class Local:
    """See `engines.base.Engine`."""

    def __init__(self, bench: Bench) -> None:
        self.slots = bench.workers
        self._bench = bench
        self._hands = [_Hand(bench) for _ in range(bench.workers)]  # all at once: loading takes seconds
        self._lost: list[Outcome] = []

    def submit(self, unit: Unit) -> None:
        """Give it to a worker that holds nothing."""
        place = next(place for place, hand in enumerate(self._hands) if hand.unit is None)
        if not self._hands[place].take(unit):
            self._replace(place, "its worker could not be started")

    def wait(self, timeout_s: float) -> Sequence[Outcome]:
        """What has ended."""
        busy = {hand.pipe: place for place, hand in enumerate(self._hands) if hand.unit is not None}
        ready = wait(list(busy), 0.0 if self._lost else timeout_s) if busy else []
        for pipe in ready:
            assert isinstance(pipe, Connection)
            place = busy[pipe]
            try:
                self._lost.append(self._hands[place].give())
            except GONE:
                self._replace(place, "the worker process vanished")
        for place in [place for pipe, place in busy.items() if pipe not in ready]:
            if self._hands[place].held_s > self._bench.unit_limit_s:
                self._replace(place, f"it took longer than {self._bench.unit_limit_s:g} s")
        ended, self._lost = self._lost, []
        return ended

    def stop(self) -> None:
        """Kill what runs: a unit leaves at most a temp file."""
        for hand in self._hands:
            hand.end()

    def _replace(self, place: int, why: str) -> None:
        unit = self._hands[place].unit
        assert unit is not None
        self._hands[place].end()
        self._hands[place] = _Hand(self._bench)
        self._lost.append(Died(unit.number, why))


class _Hand:
    """One worker process, and the unit that it holds."""

    def __init__(self, bench: Bench) -> None:
        self.unit: Unit | None = None
        self._since = 0.0
        # Not fork: the parent may hold threads. Daemon: nobody waits for it at exit.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(theirs, bench), daemon=True)
        self.process.start()
        theirs.close()  # with its worker, the other end vanishes

    @property
    def held_s(self) -> float:
        """How long it has held its unit; by a clock that is never set."""
        return time.monotonic() - self._since

    def take(self, unit: Unit) -> bool:
        """Whether the unit could be handed over."""
        self.unit, self._since = unit, time.monotonic()
        try:
            self.pipe.send(unit)
        except GONE:
            return False
        return True

    def give(self) -> Outcome:
        """What became of the unit."""
        outcome: Outcome = self.pipe.recv()
        self.unit = None
        return outcome

    def end(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.join(JOIN_S)
        with suppress(OSError):
            self.pipe.close()


def _work(pipe: Connection, bench: Bench) -> None:
    """The life of a worker process."""
    begin()
    # A service manager tells all processes to end; what that means is for the driver to say, as with Ctrl-C.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    worker: Attempt | None = None
    with suppress(*GONE):
        while True:
            unit = pipe.recv()
            try:
                worker = worker or bench.hire()
            except ClinicError as error:
                pipe.send(Broken(unit.number, error))
            else:
                pipe.send(worker(unit))
