"""All that the page of operators shows, read at once; what cannot be read is told as a matter, and hides nothing else.

In:  the run and the room of this process. Out: `Told`. Nothing is written, and the driver of the run is not held up.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import streamlit as st

from clinic_mm import __version__
from clinic_mm.errors import ClinicError
from clinic_mm.evaluate.monitor.state import FILE as MONITOR_FILE
from clinic_mm.jobs.operating import matters
from clinic_mm.jobs.operating.disk import Part, folders, part_of
from clinic_mm.jobs.operating.matters import Matter
from clinic_mm.jobs.operating.verified import Kept, last_verified
from clinic_mm.jobs.operating.versions import Library, libraries
from clinic_mm.jobs.operating.work import Work, work_of
from clinic_mm.jobs.spec import JobSpec, read_spec
from clinic_mm.jobs.taking_in import last_look
from components.opened import MONITOR, VARIABLE, monitor_state
from guard import room

DISK_S: Final = 60.0
"""So long sizes of folders are believed: looking through them takes longer than all the rest."""


@dataclass(slots=True)
class Told:
    """What was read.

    Attributes:
        run: Its folder.
        work: None of a run that kept no ledger, or whose ledger cannot be read.
        spec: None where it cannot be read.
        matters: The gravest first; none where all is well.
    """

    run: Path
    work: Work | None = None
    spec: JobSpec | None = None
    parts: list[Part] = field(default_factory=list)
    kept: Kept | None = None
    matters: tuple[Matter, ...] = ()


def told(now: datetime) -> Told:
    """Read everything."""
    found, wrong = Told(Path(os.environ.get(VARIABLE, ""))), []
    try:
        found.spec, found.work = read_spec(found.run), work_of(found.run, now)
    except ClinicError as error:
        wrong.append(matters.unreadable("Run", error))
    found.parts = _parts(str(found.run), str(room.opened().home), found.spec)
    found.kept = last_verified(room.opened().home)
    found.matters = matters.gravest_first([*wrong, *_matters(found, now)])
    return found


@st.cache_data(show_spinner=False)
def installed() -> tuple[Library, ...]:
    """Libraries, read once: they do not change while the server runs."""
    return libraries()


def _matters(found: Told, now: datetime) -> Iterator[Matter]:
    if found.work:
        yield from matters.of_work(found.work, found.run, now)
    yield from matters.of_disk(found.parts, found.work)
    yield from _of_monitoring(found, now)
    yield from matters.of_room(last_look(room.opened().home), found.kept, now)
    yield from matters.of_versions(__version__, found.spec.settings.program if found.spec else "")


def _of_monitoring(found: Told, now: datetime) -> Iterator[Matter]:
    try:
        state = monitor_state()
    except ClinicError as error:
        yield matters.unreadable("Monitoring", error)
        return
    last_at = found.work.last_at if found.work else None
    yield from matters.of_monitoring(state, _looked_at(found.run), last_at, now)


def _looked_at(run: Path) -> datetime | None:
    """When the state of monitoring was written."""
    named = Path(os.environ.get(MONITOR, "") or run)
    file = named / MONITOR_FILE if named.is_dir() else named
    return datetime.fromtimestamp(file.stat().st_mtime, UTC) if file.is_file() else None


@st.cache_data(ttl=DISK_S, max_entries=4, show_spinner=False)
def _parts(run: str, home: str, _spec: JobSpec | None) -> list[Part]:
    cohort, cache = (_spec.cohort, _spec.cache.folder if _spec.cache else None) if _spec else ("", None)
    return [part_of(one) for one in folders(Path(run), Path(home), cohort, cache)]
