"""Whether all is well, and else what to do: everything that an operator should know of, the gravest first.

In:  what the other files of this folder read. Out: `Matter`s, each with its mend; none where all is well.

Pure: nothing is read here, and nothing is drawn.
"""

import shlex
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from clinic_mm.errors import ClinicError
from clinic_mm.evaluate.monitor.state import MonitorState
from clinic_mm.jobs.operating.disk import Part, short_of
from clinic_mm.jobs.operating.limits import limits
from clinic_mm.jobs.operating.verified import Kept
from clinic_mm.jobs.operating.work import Work
from clinic_mm.jobs.taking_in import Looked
from clinic_mm.types import Frozen

Level = Literal["act", "look"]
RESUME: Final = "Start it again; a service or timer does it by itself. Nothing is done twice"
RETRY: Final = "Look at their evidence, report it; then --resume --retry"
FILES: Final = "file."
"""How codes begin that say: this is not the file that ingest read. Others are of its content, no trouble of ours."""
ROOM: Final = "Make room: the part Disk says what may be cleared. A run that stopped goes on with --resume"


class Matter(Frozen):
    """What is not as it should be: to act on now, or to look at in the morning; and what to do."""

    level: Level
    about: str
    what: str
    mend: str
    command: str = ""
    """What to type, with paths of this machine: for administrators alone."""


def gravest_first(matters: Iterable[Matter]) -> tuple[Matter, ...]:
    """What to act on before what to look at; else in the given order."""
    return tuple(sorted(matters, key=lambda one: one.level != "act"))


def unreadable(about: str, error: ClinicError) -> Matter:
    """Something that cannot even be read."""
    return Matter(level="act", about=about, what=error.what, mend=error.mend)


def of_work(work: Work, run: Path, now: datetime) -> Iterator[Matter]:
    """Of driver and cases."""
    state, counts = work.state, work.state.counts
    if not state.running and not state.finished and not work.watched:
        told = f"Nobody works on the run, and {state.pending} cases wait"
        if work.last_at:
            told += f". The last were written down at {_clock(work.last_at, now)}"
        command = shlex.join(["clinic-mm", "screen", state.model, state.cohort, "--out", str(run), "--resume"])
        yield Matter(level="act", about="Run", what=told, mend=RESUME, command=command)
    if work.watched and not state.running and state.pending:
        told = f"A watch is alive, nothing is handed out, and {state.pending} cases wait"
        mend = "It may be outside its --hours, or the machine busy: its log says which"
        yield Matter(level="look", about="Run", what=told, mend=mend)
    yield from _of_driver(work, now)
    if counts.quarantined:
        told = f"{_cases(counts.quarantined)} failed or killed a worker three times, and are left alone"
        yield Matter(level="look", about="Quarantine", what=told, mend=RETRY)
    if counts.failed:
        told = f"{_cases(counts.failed)} failed by our fault"
        mend = "Nothing now: each start tries them again, three times in all"
        yield Matter(level="look", about="Quarantine", what=told, mend=mend)
    if killers := [one for one in work.troubled if one.state == "pending"]:
        told = f"{_cases(len(killers))} killed a worker, or stood beside one that did, and are tried again"
        mend = "Nothing now: who is to blame is found by itself"
        yield Matter(level="look", about="Quarantine", what=told, mend=mend)
    if gone := {code: n for code, n in work.refused.items() if code.startswith(FILES)}:
        codes = ", ".join(f"{n} {code}" for code, n in gone.items())
        told = f"Taken by ingest and refused when read: {codes}"
        yield Matter(level="look", about="Evidence", what=told, mend="Run clinic-mm ingest again; then --resume")


def _of_driver(work: Work, now: datetime) -> Iterator[Matter]:
    """Of a driver that is alive, and gets nothing done."""
    if not work.state.running:
        return
    if work.since and (now - work.since).total_seconds() > work.unit_limit_s:
        told = f"A unit has been worked on since {_clock(work.since, now)}, longer than a unit may take"
        mend = "If it is not killed by itself within minutes: stop the driver, and start it again with --resume"
        yield Matter(level="act", about="Run", what=told, mend=mend)
        return
    quiet = timedelta(minutes=limits().work.quiet_minutes)
    alive = [at for at in (work.last_at, work.since) if at]
    if work.state.pending and alive and now - max(alive) > quiet:
        told = f"A driver is alive, and has written nothing down since {_clock(max(alive), now)}"
        mend = "It may be outside its --hours, the machine busy, or a unit long: its log says which"
        yield Matter(level="look", about="Run", what=told, mend=mend)


def of_disk(parts: Iterable[Part], work: Work | None) -> Iterator[Matter]:
    """Of disks; each disk is told of once, the run's first."""
    told: set[tuple[int, int]] = set()
    for part in parts:
        if part.free is None or part.total is None:
            if part.files == 0 and part.name == "Run":
                yield Matter(level="act", about="Disk", what="The folder of the run is gone", mend="Mount its disk")
            continue
        level = short_of(part.free, part.total)
        if level and (disk := (part.total, part.free // 10**8)) not in told:
            told.add(disk)
            what = f"{part.name}: {in_bytes(part.free)} of {in_bytes(part.total)} are free"
            yield Matter(level="act" if level == "act" else "look", about="Disk", what=what, mend=ROOM)
        if part.name == "Run" and level != "act" and work and (takes := still_takes(part, work)) > part.free:
            what = f"What waits will take about {in_bytes(takes)} more, and {in_bytes(part.free)} are free"
            yield Matter(level="act", about="Disk", what=what, mend=ROOM)


def still_takes(run: Part, work: Work) -> int:
    """What the cases that wait will take, as those that were answered did; 0 where nothing was, or nothing waits."""
    ended = work.state.cases - work.state.pending
    return round(run.bytes / ended * work.state.pending) if ended else 0


def of_monitoring(
    state: MonitorState | None, looked_at: datetime | None, last_at: datetime | None, now: datetime
) -> Iterator[Matter]:
    """Of what monitoring found, and whether it still looks.

    Args:
        state: None where nobody watches.
        looked_at: When the state was written.
        last_at: When a unit of the run was last written down.
        now: The time.
    """
    if state is None:
        mend = "Start with: clinic-mm monitor RUN --reference EARLIER_RUN --out RUN"
        yield Matter(level="look", about="Monitoring", what="Nobody watches this model", mend=mend)
        return
    for stop in state.stops:
        hides = "" if stop.hide == "nothing" else ", and hides answers"
        yield Matter(level="look", about="Monitoring", what=f"{stop.say}{hides}", mend=stop.mend)
    behind = timedelta(hours=limits().monitor.behind_hours)
    if looked_at and last_at and last_at - looked_at > behind:
        told = f"Monitoring last looked at {_clock(looked_at, now)}; answers were given until {_clock(last_at, now)}"
        mend = "See whether its timer still runs, and run clinic-mm monitor again"
        yield Matter(level="look", about="Monitoring", what=told, mend=mend)


def of_room(looked: Looked | None, kept: Kept | None, now: datetime) -> Iterator[Matter]:
    """Of the reading room: answers that come in, and its audit."""
    if looked and looked.what:
        yield Matter(level="act", about="Room", what=f"Answers are not taken in: {looked.what}", mend=looked.mend)
    elif looked and now - looked.at > timedelta(minutes=limits().room.taken_in_minutes):
        told = f"Nobody takes answers into the room since {_clock(looked.at, now)}"
        yield Matter(level="act", about="Room", what=told, mend="Start clinic-mm dashboard again: its parent has gone")
    if kept and not kept.whole:
        told = f"The audit is not whole: {kept.found} findings, at {_clock(kept.at, now)}"
        mend = "Change nothing, keep store and heads as they are, and tell who answers for the records"
        yield Matter(level="act", about="Audit", what=told, mend=mend)
    elif kept is None or now - kept.at > timedelta(days=limits().room.verify_days):
        told = f"The audit was last verified at {_clock(kept.at, now)}" if kept else "The audit was never verified here"
        yield Matter(level="look", about="Audit", what=told, mend="Verify it: the part Audit has a button")


def of_versions(here: str, of_run: str) -> Iterator[Matter]:
    """Of a program that is not the one that made the run."""
    if of_run and here != of_run:
        told = f"The run is by clinic_mm {of_run}, and {here} is installed here"
        mend = "Nothing, if that is meant: with --resume the new one answers everything again"
        yield Matter(level="look", about="Versions", what=told, mend=mend)


def in_bytes(size: float) -> str:
    """`12.3 GB`, in powers of ten, as disks are sold."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count} cases"


def _clock(at: datetime, now: datetime) -> str:
    """`14:03 UTC` today, with the day before; all times of the room are UTC."""
    return f"{at:%H:%M} UTC" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M} UTC"
