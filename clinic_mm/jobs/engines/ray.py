"""Do units in Ray actors, on this machine or on a cluster: each holds the model, and one unit at a time.

In:  units. Out: outcomes. Ray carries and nothing else: it repeats no task and starts no actor anew by itself, since it
would do so without end with a case that kills its process; the ledger counts tries. An actor that vanishes, with its
process or its node, or hangs, is replaced, and exactly the unit that it held has died.

On this machine Ray is started for the run and ended with it: on the loopback, with a token, no dashboard, no usage
statistics, little shared memory. A Ray that this process already has is used, and left running. With an address, all
machines must see model, cohort, files and run folder under the same paths, and have the same clinic_mm; whether a token
is asked for says RAY_AUTH_MODE there and here. Ray leaves its own logs below /tmp/ray; no case is named in them.
"""

import logging
import os
import secrets
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from clinic_mm.errors import ClinicError
from clinic_mm.extras import need
from clinic_mm.jobs.engines.base import Attempt, Bench
from clinic_mm.jobs.unit import Broken, Died, Outcome, Unit

ray = need("ray")

CPUS: Final = 0.5
"""What an actor asks for, though it keeps one busy: the cluster has room for a new one while a dead one's is held."""
NOBODY_S: Final = 300.0
"""After so long without a single actor, none will come."""
STILLBORN: Final = 3
"""So many actors per worker that die before they are there, one after the other, and it is not the machine's mood."""
STORE_BYTES: Final = 80 * 2**20
"""Of shared memory on this machine: units and outcomes are small; Ray would take a third of the memory."""
LOOPBACK: Final = "127.0.0.2" if sys.platform == "linux" else None
"""Ray takes 127.0.0.1 for a wish to be reached from outside, and puts the machine's address in its place."""


class Ray:
    """See `engines.base.Engine`."""

    def __init__(self, bench: Bench) -> None:
        self.slots = bench.workers
        self._bench = bench
        self._ours = not ray.is_initialized()
        if self._ours:
            _connect(bench)
        self._seats = [_Seat(bench) for _ in range(bench.workers)]
        self._waiting: deque[Unit] = deque()
        self._nobody_since, self._stillborn = time.monotonic(), 0

    def submit(self, unit: Unit) -> None:
        """Take a unit; it goes to the first actor that is there and holds nothing."""
        self._waiting.append(unit)
        self._hand_out()

    def wait(self, timeout_s: float) -> Sequence[Outcome]:
        """What has ended."""
        until = time.monotonic() + timeout_s
        while True:  # an actor that is there now is no outcome
            pending = {seat.due: place for place, seat in enumerate(self._seats) if seat.due is not None}
            ready, _ = ray.wait(list(pending), timeout=max(0.0, until - time.monotonic())) if pending else ([], [])
            ended = [outcome for due in ready if (outcome := self._come(pending[due])) is not None]
            ended += self._hung()
            self._hand_out()
            if ended or not ready or time.monotonic() > until:
                return ended or self._nobody()

    def stop(self) -> None:
        """Kill what runs: a unit leaves at most a temp file."""
        self._waiting.clear()
        if not ray.is_initialized():
            return
        for seat in self._seats:
            seat.end()
        if self._ours:
            ray.shutdown()

    def _hand_out(self) -> None:
        for seat in self._seats:
            if seat.there and seat.unit is None and self._waiting:
                seat.take(self._waiting.popleft())

    def _come(self, place: int) -> Outcome | None:
        """What an actor says: an outcome, or that it is there now."""
        seat = self._seats[place]
        try:
            outcome = seat.hear()
        except ray.exceptions.RayError as error:
            self._stillborn += not seat.there
            return self._replace(place, f"the worker vanished ({type(error).__name__})")
        self._stillborn = 0
        return outcome

    def _hung(self) -> list[Outcome]:
        limit = self._bench.unit_limit_s
        late = [place for place, seat in enumerate(self._seats) if seat.unit and seat.held_s > limit]
        found = [self._replace(place, f"it took longer than {limit:g} s") for place in late]
        return [died for died in found if died is not None]

    def _replace(self, place: int, why: str) -> Outcome | None:
        unit = self._seats[place].unit
        self._seats[place].end()
        self._seats[place] = _Seat(self._bench)
        return Died(unit.number, why) if unit else None

    def _nobody(self) -> list[Outcome]:
        """Where no actor can be started at all, the job must not wait for ever."""
        if any(seat.there for seat in self._seats) or not self._waiting:
            self._nobody_since = time.monotonic()
            return []
        if time.monotonic() - self._nobody_since < NOBODY_S and self._stillborn < STILLBORN * self.slots:
            return []
        mend = "See `ray status`: are CPUs free, and is the same clinic_mm on all machines? Then go on with --resume"
        return [Broken(self._waiting.popleft().number, ClinicError("Ray starts no worker", "", mend))]


class _Seat:
    """One actor, and the unit that it holds."""

    def __init__(self, bench: Bench) -> None:
        # Ray must neither start it anew nor repeat a unit: both are for the driver to decide.
        asked = {"num_cpus": CPUS, "max_restarts": 0, "max_task_retries": 0, "scheduling_strategy": "SPREAD"}
        self._actor: Any = ray.remote(_Actor).options(**asked).remote(bench)
        self.unit: Unit | None = None
        self.there = False
        self.due: Any = self._actor.there.remote()
        self._since = 0.0

    @property
    def held_s(self) -> float:
        """How long it has held its unit; by a clock that is never set."""
        return time.monotonic() - self._since

    def take(self, unit: Unit) -> None:
        """Give it a unit."""
        self.unit, self._since = unit, time.monotonic()
        self.due = self._actor.work.remote(unit)

    def hear(self) -> Outcome | None:
        """What was due: an outcome, or None from an actor that has just been seated.

        Raises:
            RayError: If it is gone.
        """
        outcome: Outcome | None = ray.get(self.due)
        self.unit, self.due, self.there = None, None, True
        return outcome

    def end(self) -> None:
        """Kill the process."""
        ray.kill(self._actor, no_restart=True)


class _Actor:
    """The life of a worker process, wherever Ray puts it."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._worker: Attempt | None = None

    def there(self) -> None:
        """Say that it could be started."""

    def work(self, unit: Unit) -> Outcome:
        """Do a unit; the first loads the model."""
        try:
            self._worker = self._worker or self._bench.hire()
        except ClinicError as error:
            return Broken(unit.number, error)
        return self._worker(unit)


def _connect(bench: Bench) -> None:
    """Start Ray on this machine, or go to the cluster.

    Raises:
        ClinicError: If there is none at the address, it does not let us in, or it does not start here.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # actors that ask for no GPU still see them
    asked = {"address": bench.address} if bench.address else _on_this_machine(bench.workers)
    try:
        with _sigterm_kept():
            ray.init(**asked, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray itself raises nothing narrower; its texts name machines
        there = "Name --address HOST:PORT of a running cluster, and set RAY_AUTH_MODE and its token as there"
        mend = there if bench.address else "See whether memory, /dev/shm and /tmp have room; or use --engine local"
        raise ClinicError(f"Ray cannot be reached ({type(error).__name__})", bench.address, mend) from error
    ray._private.worker.print_to_stdstream = _unsaid


def _on_this_machine(workers: int) -> dict[str, Any]:
    """What Ray is started with where no cluster is named: nothing of it is to be reached from outside."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if "RAY_AUTH_TOKEN_PATH" not in os.environ:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else Ray writes one into the home
    room = {"num_cpus": workers, "object_store_memory": STORE_BYTES}
    return {"address": "local", "include_dashboard": False, "_node_ip_address": LOOPBACK, **room}


def _unsaid(*args: object, **named: object) -> None:
    """Ray prints the death of each worker to stdout, where --json speaks. The ledger has it, with the unit."""


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Ray lets SIGTERM end the driver at once; what it means is for the driver to say."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
