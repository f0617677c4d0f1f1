"""Read a ledger: counts, the work list, why cases have no answer, what is still to be done. Nothing here writes.

In:  a run folder. Out: `LedgerReader`, which anybody may hold while the driver of the run writes (`jobs.ledger`).
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

from clinic_mm.errors import ArtifactError
from clinic_mm.report.ledger_file import FILE as FILE
from clinic_mm.report.ledger_file import VERSION, reading, told
from clinic_mm.report.run import Counts


class Listed(NamedTuple):
    """One line of the work list."""

    case_key: str
    urgency: float
    state: str
    silent: bool
    pattern: str
    reason: str


class LedgerReader:
    """An open ledger, to be read; see `read_only`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path, self.db = path, connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()

    def meta(self, key: str) -> str:
        """What is noted of the run under a name, "" where nothing is."""
        found = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(found[0]) if found else ""

    def counts(self) -> Counts:
        """How many cases came to which end."""
        rows = self.db.execute("SELECT state, silent, count(*) FROM cases GROUP BY state, silent").fetchall()
        by = {state: sum(n for s, _, n in rows if s == state) for state in ("done", "skipped", "failed", "quarantined")}
        return Counts(**by, silent=sum(n for state, silent, n in rows if state == "done" and silent))

    def total(self) -> int:
        """All cases of the run."""
        return one(self.db, "SELECT count(*) FROM cases")

    def pending(self) -> int:
        """Cases that wait, or are being worked on."""
        return one(self.db, "SELECT count(*) FROM cases WHERE state = 'pending'")

    def claimed(self) -> int:
        """Cases that are being worked on, or were when their driver died."""
        return one(self.db, "SELECT count(*) FROM units JOIN cases ON unit = number WHERE units.state = 'claimed'")

    def unit_sizes(self) -> dict[int, int]:
        """How many cases of each unit wait."""
        return dict(self.db.execute("SELECT unit, count(*) FROM cases WHERE state = 'pending' GROUP BY unit"))

    def pending_keys(self) -> frozenset[str]:
        """Of the cases that wait."""
        return frozenset(key for (key,) in self.db.execute("SELECT case_key FROM cases WHERE state = 'pending'"))

    def unit_of(self, case_key: str) -> tuple[int, int] | None:
        """Unit and tries of a case that waits; None of one that does not."""
        asked = "SELECT unit, tries FROM cases WHERE case_key = ? AND state = 'pending'"
        found: tuple[int, int] | None = self.db.execute(asked, (case_key,)).fetchone()
        return found

    def shards(self) -> frozenset[str]:
        """Names of the shards that hold rows of the run."""
        return frozenset(name for (name,) in self.db.execute("SELECT shard FROM units WHERE shard IS NOT NULL"))

    def rows(self) -> int:
        """Rows in those shards."""
        return one(self.db, "SELECT coalesce(sum(rows), 0) FROM units")

    def has_done(self, case_key: str) -> bool:
        """Whether a shard holds the answer to a case."""
        asked = "SELECT 1 FROM cases WHERE case_key = ? AND state = 'done'"
        return self.db.execute(asked, (case_key,)).fetchone() is not None

    def stale(self) -> list[tuple[int, str, frozenset[str]]]:
        """Shards with rows that no longer count: number of the unit, name, keys of the rows that do."""
        fewer = (
            "SELECT number, shard FROM units WHERE shard IS NOT NULL AND rows >"
            " (SELECT count(*) FROM cases WHERE unit = number AND state = 'done')"
        )
        keys = "SELECT case_key FROM cases WHERE unit = ? AND state = 'done'"
        return [
            (number, name, frozenset(key for (key,) in self.db.execute(keys, (number,))))
            for number, name in self.db.execute(fewer).fetchall()
        ]

    def worklist(self, limit: int = 50, after: tuple[float, str] | None = None) -> list[Listed]:
        """A page of the work list: the most urgent first, ties by key.

        Args:
            limit: Lines.
            after: Urgency and key of the last line of the page before.
        """
        columns = "SELECT case_key, urgency, state, silent, pattern, reason FROM cases"
        order = "ORDER BY urgency DESC, case_key LIMIT ?"
        if after is None:
            rows = self.db.execute(f"{columns} WHERE urgency IS NOT NULL {order}", (limit,))
        else:
            # Two ranges rather than one OR: each is read off the index from its first line on.
            tied = "urgency = ? AND case_key > ?"
            rows = self.db.execute(
                f"SELECT * FROM ({columns} WHERE {tied} {order}) UNION ALL "  # noqa: S608 - constants
                f"SELECT * FROM ({columns} WHERE urgency < ? {order}) LIMIT ?",
                (*after, limit, after[0], limit, limit),
            )
        return [Listed(key, urgency, state, bool(silent), *rest) for key, urgency, state, silent, *rest in rows]

    def skipped(self) -> Iterator[tuple[str, str, str, str, str]]:
        """Why cases have no answer: case key, status, modality, code, why; in the order of the cohort."""
        yield from self.db.execute(
            "SELECT case_key, status, modality, code, why FROM cases JOIN whys ON case_id = id"
            " ORDER BY place, whys.rowid"
        )

    def refused(self) -> list[tuple[str, int]]:
        """By code: what ingest had taken and reading refused, the most frequent first."""
        found: dict[str, int] = {}
        for codes, n in self.db.execute("SELECT refused, count(*) FROM cases WHERE refused <> '' GROUP BY refused"):
            for code in codes.split():
                found[code] = found.get(code, 0) + n
        return sorted(found.items(), key=lambda item: (-item[1], item[0]))


AnyLedger = TypeVar("AnyLedger", bound=LedgerReader)


def read_only(run: Path) -> LedgerReader:
    """The ledger of a run for reading, also while a driver writes it.

    Raises:
        ArtifactError: If there is none, it is damaged, or of an unknown version.
    """
    path = run / FILE
    if not path.is_file():
        raise ArtifactError("This run has no ledger", str(run), "Only runs of clinic-mm screen have one")
    return known(LedgerReader(path, reading(path)))


def known(ledger: AnyLedger) -> AnyLedger:
    """The same ledger, of this version.

    Raises:
        ArtifactError: Of another version, which is closed.
    """
    with told(ledger.path):
        version = ledger.meta("schema_version")
    if version != str(VERSION):
        ledger.db.close()
        mend = "Use the version of clinic_mm that wrote it, or screen again into a new folder"
        raise ArtifactError(f"The ledger is of version {version or 'unknown'}", str(ledger.path), mend)
    return ledger


def one(db: sqlite3.Connection, query: str) -> int:
    """The one number that a query asks for."""
    return int(db.execute(query).fetchone()[0])
