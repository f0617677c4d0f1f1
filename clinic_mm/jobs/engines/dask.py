"""Do units in Dask workers, on this machine or at a scheduler's address: each holds the model, and one unit at a time.

On this machine Dask lives as long as the run, behind a certificate of its own. At an address, all machines see the same
paths and have the same clinic_mm; how often a unit is tried before it has died, says the scheduler's allowed-failures.
"""

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

from clinic_mm.errors import ClinicError, UsageError
from clinic_mm.extras import need
from clinic_mm.jobs.engines.base import Bench
from clinic_mm.jobs.unit import Broken, Died, Outcome, Unit

dask, distributed = need("dask"), need("distributed")


class Dask:
    """See `engines.base.Engine`."""

    def __init__(self, bench: Bench) -> None:
        self.slots, self._bench, self._run = bench.workers, bench, uuid4().hex
        self._held: dict[Any, tuple[Unit, float]] = {}
        self._cluster: Any = None if bench.address else _on_this_machine(bench.workers)
        try:
            self._client = distributed.Client(self._cluster or bench.address)
        except (OSError, TimeoutError, ValueError) as error:
            mend = "Name --address tcp://HOST:PORT of a running scheduler"
            raise ClinicError(f"Dask cannot be reached ({type(error).__name__})", bench.address, mend) from error
        if any(threads != 1 for threads in self._client.nthreads().values()):
            self.stop()
            raise UsageError("Dask's workers have several threads", bench.address, "Start them with --nthreads 1")

    def submit(self, unit: Unit) -> None:
        """Take a unit."""
        self._held[self._client.submit(_work, self._run, self._bench, unit, pure=False)] = unit, time.monotonic()

    def wait(self, timeout_s: float) -> Sequence[Outcome]:
        """What has ended; a thread that hangs cannot be killed, its process can."""
        with suppress(TimeoutError):
            distributed.wait(list(self._held), timeout_s, "FIRST_COMPLETED")
        begun = time.monotonic() - self._bench.unit_limit_s
        if late := {future.key for future, (_, since) in self._held.items() if since < begun and not future.done()}:
            hung = [worker for worker, keys in self._client.processing().items() if late & set(keys)]
            self._client.restart_workers(hung, raise_for_error=False)
        return [_outcome(future, self._held.pop(future)[0]) for future in list(self._held) if future.done()]

    def stop(self) -> None:
        """End what runs: a unit leaves at most a temp file."""
        self._held.clear()
        for part in filter(None, (self._client, self._cluster)):
            with suppress(TimeoutError):  # of a worker that is just being replaced; it ends with this process
                part.close(timeout=5.0)


def _on_this_machine(workers: int) -> Any:  # noqa: ANN401 - dask has no types
    dask.config.set({"distributed.scheduler.allowed-failures": 0})  # the ledger counts tries
    own = distributed.Security.temporary()  # else whoever has a login here could hand them work
    silent = {"dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
    return distributed.LocalCluster(n_workers=workers, threads_per_worker=1, security=own, protocol="tls", **silent)


def _work(run: str, bench: Bench, unit: Unit) -> Outcome:
    here = distributed.get_worker()
    try:
        if getattr(here, "clinic_mm", ("",))[0] != run:  # the first unit of a run loads its model
            here.clinic_mm = run, bench.hire()
        outcome: Outcome = here.clinic_mm[1](unit)
    except ClinicError as error:
        return Broken(unit.number, error)
    return outcome


def _outcome(future: Any, unit: Unit) -> Outcome:  # noqa: ANN401 - dask has no types
    return future.result() if future.status == "finished" else Died(unit.number, "the worker vanished")
