"""How far each case of a run is, by its ledger: for who reads the run, also while it goes on.

In:  a run folder. Out: one `Live` per case, in the order of the cohort; nothing where the run has no ledger.

The ledger is opened for reading alone. What the states mean stands in `jobs.unit`; a waiting case that a worker has is
`claimed` here, as long as the driver of the run is alive: what a killed one had handed out waits again.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from clinic_mm.report.driven import is_driven
from clinic_mm.report.ledger_file import FILE, reading, told


class Live(NamedTuple):
    """A case of a run: `urgency` is None while it waits."""

    case_key: str
    state: str
    urgency: float | None
    pattern: str
    reason: str


def live_cases(run: Path) -> Iterator[Live]:
    """Every case of a run.

    Raises:
        ArtifactError: If the ledger is damaged.
        InputError: If it cannot be read.
    """
    path = run / FILE
    if not path.is_file():
        return
    worked_on = "claimed" if is_driven(run) else "pending"
    with closing(reading(path)) as db, told(path):
        yield from map(Live._make, _rows(db, worked_on))


def changed_at(run: Path) -> int:
    """A number that changes whenever the ledger does; 0 where there is none."""
    paths = (run / FILE, run / f"{FILE}-wal")
    stats = [path.stat() for path in paths if path.is_file()]
    return sum(stat.st_mtime_ns + stat.st_size for stat in stats)


def _rows(db: sqlite3.Connection, worked_on: str) -> Iterator[tuple[str, str, float | None, str, str]]:
    yield from db.execute(
        "SELECT case_key, iif(cases.state = 'pending' AND units.state = 'claimed', ?, cases.state),"
        " urgency, pattern, reason FROM cases LEFT JOIN units ON unit = number ORDER BY place",
        (worked_on,),
    )
