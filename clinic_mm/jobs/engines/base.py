"""What an engine is: something that does units somewhere, so many at a time, and says what became of each.

In:  units, and the `Bench` that says how a worker is made. Out: outcomes, in the order in which they end.

The driver hands out, counts tries and keeps the ledger; an engine only carries. It never repeats a unit by itself,
never drops one silently, and never asks what is in it. A worker that vanishes while it holds a unit is a `Died`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Final, Protocol

from clinic_mm.errors import UsageError
from clinic_mm.jobs.unit import Outcome, Unit

ENGINES: Final = {
    "inline": "clinic_mm.jobs.engines.inline:Inline",
    "local": "clinic_mm.jobs.engines.local:Local",
    "ray": "clinic_mm.jobs.engines.ray:Ray",
    "dask": "clinic_mm.jobs.engines.dask:Dask",
}
"""By name: module and class, imported when asked for. Each is made as `Engine(bench)`."""

Attempt = Callable[[Unit], Outcome]
"""What a worker does with a unit. It raises nothing: whatever goes wrong is an outcome."""


@dataclass(frozen=True, slots=True)
class Bench:
    """How work is set up.

    Attributes:
        hire: Makes a worker, in the process where it is to work: loads the model once. Picklable. Raises `ClinicError`
            where no unit could be done.
        workers: How many work at the same time.
        unit_limit_s: After so long with one unit a worker is taken for hung, and killed.
        address: Of a cluster, "" for this machine.
    """

    hire: Callable[[], Attempt]
    workers: int = 1
    unit_limit_s: float = 3600.0
    address: str = ""


class Engine(Protocol):
    """The contract. All of it is called from the driver's one thread."""

    slots: int
    """Units that may be inside at the same time; the driver submits no more."""

    def submit(self, unit: Unit) -> None:
        """Take a unit. Returns at once, or as soon as it can be handed on (`inline` may do it later, in `wait`)."""

    def wait(self, timeout_s: float) -> Sequence[Outcome]:
        """What has ended since; returns with the first, or with nothing when the time is over."""

    def stop(self) -> None:
        """End all workers within a second or two, whatever they hold; safe to call twice."""


def make_engine(name: str, bench: Bench) -> Engine:
    """The engine of a name.

    Raises:
        UsageError: If there is none.
        ExtraMissingError: If it needs an optional part that is not installed.
    """
    if name not in ENGINES:
        near = get_close_matches(name, ENGINES, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise UsageError(f"There is no engine {name!r}", "--engine", f"{hint}Engines: {', '.join(ENGINES)}")
    module, _, kind = ENGINES[name].partition(":")
    engine: Engine = getattr(import_module(module), kind)(bench)
    return engine
