"""Drive a run: hand out units, write down what became of them, and try again what died.

In:  a planned ledger, the cases of the cohort as a stream, an engine. Out: the ledger, in which nothing is pending, or
what an interruption left; never more than a few units of cases in memory.

One commit per unit. A unit that dies is tried once more as it is, then case by case, so that whoever is to blame costs
itself alone, and is quarantined with its third death. Nothing here knows where the work is done.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from clinic_mm.cohort.manifest import INFO_FILE, Cohort, open_cohort
from clinic_mm.cohort.stream import ALL, Wanted, stream_cases
from clinic_mm.errors import ClinicError, InputError
from clinic_mm.jobs.engines.base import Engine
from clinic_mm.jobs.ledger import Ledger
from clinic_mm.jobs.spec import JobSpec
from clinic_mm.jobs.stop import Stop
from clinic_mm.jobs.throttle import Throttle, Wait
from clinic_mm.jobs.unit import Answered, Broken, CaseRow, Died, Unit
from clinic_mm.report.run import Counts
from clinic_mm.task import Task
from clinic_mm.types import CaseRecord

POLL_S: Final = 0.25
GRACE_S: Final = 2.0
"""After a request to stop, so long may units that are being worked on still end; then their workers are killed."""
COPY_S: Final = 600.0
"""So often the ledger is copied: this much work at most is done again where it is damaged."""
WHOLE_TRIES: Final = 2
"""So often a unit is tried as it is, before its cases are tried one by one."""
CHANGED: Final = "Start again with --resume: what it changes is then answered again, and nothing else"
HOPELESS: Final = 12
"""So many deaths without a unit in between that was answered, and it is not the cases."""
SEE: Final = "See what is wrong with this machine or model; go on with --resume, and if it was that, once with --retry"


@dataclass(slots=True)
class Drive:
    """One drive through what is to be done.

    Attributes:
        counted: Told of the counts after every commit.
        throttle: Holds up what is not yet handed out.
        waits: Told whenever there is another reason to wait, and None when work goes on.
        here: Whether units are done in this very process: nobody waits for the one that is being done.
    """

    ledger: Ledger
    spec: JobSpec
    cohort: Cohort
    task: Task
    engine: Engine
    stop: Stop
    counted: Callable[[Counts], None]
    check: Callable[[], None] = lambda: None
    throttle: Throttle = field(default_factory=Throttle)
    waits: Callable[[Wait | None], None] = lambda _: None
    here: bool = False
    _wait: Wait | None = None
    _held: dict[int, Unit] = field(default_factory=dict)
    _again: deque[Unit] = field(default_factory=deque)
    _deaths: int = 0
    _doubt: bool = False
    _ever: bool = False
    _tally: Counter[str] = field(default_factory=Counter)
    _copied: float = field(default_factory=time.monotonic)

    def run(self) -> bool:
        """Do everything that is pending.

        Returns:
            Whether it was done; False where it was asked to stop before, or is to wait so long that no worker is kept.

        Raises:
            ClinicError: If the job cannot go on: disk, model, ledger or cohort. Everything recorded stays recorded.
            Stopped: If it was asked to stop while units are done here, or cases are looked for.
        """
        self.stop.at_once = self.here
        try:
            self._tally.update(self.ledger.counts().model_dump())
            supply = todo(self.ledger, self.cohort, self.task)
            claimed = self._fill(supply)
            self.ledger.record([], claimed)
            while (self._held or self._waits_with_work()) and not self.stop.signal and not self._rests():
                self._turn(supply)
            if self.stop.signal:
                self._let_end()
            return not self.stop.signal and not self._waits_with_work()
        finally:
            self.engine.stop()

    def _waits_with_work(self) -> bool:
        return self._wait is not None and self.ledger.pending() > 0

    def _rests(self) -> bool:
        """Nothing is being worked on, and nothing will be for long."""
        return not self._held and self._wait is not None and self._wait.long

    def _turn(self, supply: Iterator[Unit]) -> None:
        """Take what has ended, keep the workers busy, write down."""
        if not self._held:
            time.sleep(POLL_S)
        outcomes = self.engine.wait(POLL_S)
        units = {outcome.number: self._held.pop(outcome.number) for outcome in outcomes}
        claimed = self._fill(supply) if not self.stop.signal else []
        self._write_down([o for o in outcomes if isinstance(o, Answered)], claimed)
        for outcome in outcomes:
            if isinstance(outcome, Broken):
                raise outcome.error
            if isinstance(outcome, Died) and not self.stop.signal:  # what a request to stop kills is nobody's fault
                self._died(units[outcome.number], outcome)
        if not self._held and not self.stop.signal:
            self.ledger.record([], self._fill(supply))

    def _fill(self, supply: Iterator[Unit]) -> list[Unit]:
        """Hand out units as long as there is room."""
        taken = []
        while len(self._held) < self.engine.slots and self._may():
            unit = self._next(supply)
            if unit is None:
                break
            unit = replace(unit, at=datetime.now(UTC))
            self._held[unit.number] = unit
            self.engine.submit(unit)
            self.throttle.took(len(unit.cases))
            taken.append(unit)
        return taken

    def _next(self, supply: Iterator[Unit]) -> Unit | None:
        """What is to be tried again comes first; a unit that nobody has tried yet says whether it was the cases."""
        fresh = self._read(supply) if self._doubt or not self._again else None
        self._doubt = False
        return fresh or (self._again.popleft() if self._again else None)

    def _read(self, supply: Iterator[Unit]) -> Unit | None:
        """Where little of a large cohort is left to do, its cases are read for a while: that ends at once."""
        self.stop.at_once = True
        unit = next(supply, None)
        self.stop.at_once = self.here
        return unit

    def _may(self) -> bool:
        """Whether another unit may be handed out now."""
        self._wait = self.throttle.wait()
        self.waits(self._wait)
        return self._wait is None

    def _write_down(self, answered: list[Answered], claimed: list[Unit]) -> None:
        if not (answered or claimed):
            return
        self.check()  # before anything of another cohort is taken for an answer about this one
        maker = self.spec.model_hash, self.spec.settings.hash
        self.ledger.record([(one, *maker) for one in answered], claimed)
        if answered:
            self._deaths, self._doubt, self._ever = 0, False, True
            self._count([row for one in answered for row in one.rows])
        if time.monotonic() - self._copied > COPY_S:
            self.ledger.keep_copy()
            self._copied = time.monotonic()

    def _count(self, rows: list[CaseRow]) -> None:
        """Tell how far it is; the ledger is not asked, which takes longer the more cases it has."""
        self._tally.update(row.state for row in rows)
        self._tally["silent"] += sum(row.silent for row in rows)
        self.counted(Counts(**self._tally))

    def _died(self, unit: Unit, died: Died) -> None:
        """Try again what died. A case that is set aside is no sign of a broken machine where others are answered."""
        gone, tries = self.ledger.died(unit, died), unit.tries + 1
        self._deaths += not (gone and self._ever)
        self._doubt = gone and self._deaths > 0
        if self._deaths >= max(HOPELESS, 4 * self.engine.slots):
            raise ClinicError(f"{self._deaths} units died one after the other ({died.why})", "", SEE)
        if len(unit.cases) > 1 and tries < WHOLE_TRIES:
            self._again.append(replace(unit, tries=tries))
        elif len(unit.cases) > 1:
            numbers = self.ledger.split(unit)
            self._again.extend(Unit(n, (case,), unit.at, tries) for n, case in zip(numbers, unit.cases, strict=True))
        elif not gone:
            self._again.append(replace(unit, tries=tries))
        else:
            self._tally["quarantined"] += 1
            self._count([])

    def _let_end(self) -> None:
        """What ends in time is written down; the rest is done again at the next start."""
        until = time.monotonic() + GRACE_S
        while self._held and (left := until - time.monotonic()) > 0:
            outcomes = self.engine.wait(min(left, POLL_S))
            for outcome in outcomes:
                self._held.pop(outcome.number)
            self._write_down([o for o in outcomes if isinstance(o, Answered)], [])


def todo(ledger: Ledger, cohort: Cohort, task: Task) -> Iterator[Unit]:
    """Units of what is pending, each as soon as its cases have come by; no case is looked for twice."""
    sizes = ledger.unit_sizes()
    left = sum(sizes.values())
    most = 2 * left > int(ledger.meta("cohort_cases") or 0)
    wanted = ALL if most else Wanted(keys=ledger.pending_keys())
    waiting: dict[int, list[CaseRecord]] = {}
    for case in stream_cases(cohort, task, wanted) if left else ():
        found = ledger.unit_of(case.case_key)
        if found is None:
            continue
        number, tries = found
        mine = waiting.setdefault(number, [])
        mine.append(case)
        left -= 1
        if len(mine) == sizes[number]:
            yield Unit(number, tuple(waiting.pop(number)), datetime.now(UTC), tries)
        if not left:
            return


def unchanged(spec: JobSpec) -> Callable[[], None]:
    """A check that raises `InputError` once another cohort lies in the place of that of the job.

    Its manifest is read again only when it was written again.
    """
    path, seen = Path(spec.cohort) / INFO_FILE, [(0, 0)]

    def look() -> None:
        try:
            found = path.stat()
            if (now := (found.st_mtime_ns, found.st_size)) == seen[0]:
                return
            same = open_cohort(path.parent).info.content_hash == spec.cohort_hash
        except (OSError, ClinicError):
            same = False
        if not same:
            raise InputError("The cohort changed while it was screened", spec.cohort, CHANGED)
        seen[0] = now

    return look
