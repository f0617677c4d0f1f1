"""The ledger: what became of every case of a run, and the only truth about it. RUN/ledger.sqlite.

In:  outcomes of units. Out: what is still to be done, counts, the work list, and why cases have no answer.

SQLite in WAL mode, every commit synchronised (synchronous=FULL), one commit per unit. The driver of the run alone opens
it for writing, behind a lock that ends with its process; anybody may read meanwhile. What is to be done is decided in
`jobs.plan`; nothing here looks at a shard, a cohort or a model.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple, Self

from clinic_mm.errors import ArtifactError
from clinic_mm.jobs.unit import Answered, Died, Unit
from clinic_mm.report.ledger_file import COPY as COPY
from clinic_mm.report.ledger_file import (
    DAMAGED,
    VERSION,
    DamagedError,
    keep_copy,
    put_copy_in_place,
    reading,
    told,
    writing,
)
from clinic_mm.report.ledger_file import FILE as FILE
from clinic_mm.report.run import Counts

MOST_TRIES: Final = 3
"""So often a case may fail, or kill its worker; then it is quarantined."""


class Listed(NamedTuple):
    """One line of the work list."""

    case_key: str
    urgency: float
    state: str
    silent: bool
    pattern: str
    reason: str


class Ledger:
    """An open ledger; see `opened` and `read_only`."""

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

    def note(self, key: str, value: str) -> None:
        """Note something of the run, within a commit."""
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @contextmanager
    def commit(self) -> Iterator[sqlite3.Connection]:
        """All of what is done inside, or nothing.

        Raises:
            InputError: If the disk is full, may not be written, or another program holds the ledger.
            ArtifactError: If the ledger is damaged.
        """
        with told(self.path):
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield self.db
                self.db.execute("COMMIT")
            except BaseException:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise

    def keep_copy(self) -> None:
        """A copy beside it, which takes its place should it be damaged.

        Raises:
            InputError: If it cannot be written.
        """
        keep_copy(self.db, self.path.parent)

    def record(self, ended: Iterable[tuple[Answered, str, str]], claimed: Iterable[Unit]) -> None:
        """One commit: what became of units, each with the hashes of model and settings, and what is worked on now."""
        with self.commit() as db:
            for answered, model_hash, settings_hash in ended:
                _record(db, answered, model_hash, settings_hash)
                self.note("unknown", repr(answered.unknown))
            db.executemany(
                "INSERT OR REPLACE INTO units (number, state, at) VALUES (?, 'claimed', ?)",
                [(unit.number, unit.at.isoformat()) for unit in claimed],
            )

    def died(self, unit: Unit, died: Died) -> bool:
        """Count a death against the cases of a unit.

        Returns:
            Whether that was the last: a case that died alone, and often enough, is quarantined.
        """
        tries = unit.tries + 1
        gone = len(unit.cases) == 1 and tries >= MOST_TRIES
        urgency = float(self.meta("unknown") or 1.0)
        keys = [(case.case_key,) for case in unit.cases]
        with self.commit() as db:
            db.executemany("UPDATE cases SET tries = tries + 1 WHERE case_key = ?", keys)
            db.execute("DELETE FROM units WHERE number = ?", (unit.number,))
            if gone:
                key, why = unit.cases[0].case_key, f"{died.why}, {tries} times"
                told = "UPDATE cases SET state = 'quarantined', urgency = ?, reason = ? WHERE case_key = ?"
                db.execute(told, (urgency, f"Not read, our fault: {why}", key))
                _whys(db, key, [("failed", "", "", why)])
        return gone

    def split(self, unit: Unit) -> list[int]:
        """Numbers of units of one case each, in the place of this one."""
        with self.commit() as db:
            first = 1 + _one(
                db, "SELECT max(coalesce(max(unit), -1), coalesce((SELECT max(number) FROM units), -1)) FROM cases"
            )
            numbers = list(range(first, first + len(unit.cases)))
            rows = [(n, case.case_key) for n, case in zip(numbers, unit.cases, strict=True)]
            db.executemany("UPDATE cases SET unit = ? WHERE case_key = ?", rows)
        return numbers

    def counts(self) -> Counts:
        """How many cases came to which end."""
        rows = self.db.execute("SELECT state, silent, count(*) FROM cases GROUP BY state, silent").fetchall()
        by = {state: sum(n for s, _, n in rows if s == state) for state in ("done", "skipped", "failed", "quarantined")}
        return Counts(**by, silent=sum(n for state, silent, n in rows if state == "done" and silent))

    def total(self) -> int:
        """All cases of the run."""
        return _one(self.db, "SELECT count(*) FROM cases")

    def pending(self) -> int:
        """Cases that wait, or are being worked on."""
        return _one(self.db, "SELECT count(*) FROM cases WHERE state = 'pending'")

    def claimed(self) -> int:
        """Cases that are being worked on, or were when their driver died."""
        return _one(self.db, "SELECT count(*) FROM units JOIN cases ON unit = number WHERE units.state = 'claimed'")

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
        return _one(self.db, "SELECT coalesce(sum(rows), 0) FROM units")

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

    def compacting(self, number: int, sha256: str) -> None:
        """Note what a shard is about to become."""
        with self.commit() as db:
            db.execute("UPDATE units SET next_sha256 = ? WHERE number = ?", (sha256, number))

    def compacted(self, number: int, now: tuple[int, str, int, int] | None) -> None:
        """Note what it has become: bytes, SHA-256, time of writing, rows; None where no row of it counts."""
        size, sha256, mtime_ns, rows = now or (None, None, None, 0)
        with self.commit() as db:
            db.execute(
                "UPDATE units SET size = ?, sha256 = ?, next_sha256 = NULL, mtime_ns = ?, rows = ?,"
                " shard = iif(?, shard, NULL) WHERE number = ?",
                (size, sha256, mtime_ns, rows, now is not None, number),
            )

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


def opened(run: Path, say: Callable[[str], None] = lambda _: None) -> Ledger:
    """The ledger of a run for writing, made where there is none. The caller holds the lock of the run.

    A damaged ledger is put aside, and its last copy takes its place: what was done since is done again.

    Args:
        run: Folder of the run.
        say: Told when that happens.

    Raises:
        InputError: If it cannot be made or written, or another program holds it.
        ArtifactError: If it is damaged and has no copy, or is of an unknown version.
    """
    path, copied = run / FILE, (run / COPY).is_file()
    try:
        if path.is_file() or not copied:
            return _known(Ledger(path, writing(path, new=not copied)))
        what = "The ledger was gone"
    except DamagedError:
        if not copied:
            raise
        what = f"The ledger was damaged (it is kept as {DAMAGED})"
    put_copy_in_place(run)
    say(f"{what}: its last copy takes its place, and what was done since is done again")
    return _known(Ledger(path, writing(path)))


def read_only(run: Path) -> Ledger:
    """The ledger of a run for reading, also while a driver writes it.

    Raises:
        ArtifactError: If there is none, it is damaged, or of an unknown version.
    """
    path = run / FILE
    if not path.is_file():
        raise ArtifactError("This run has no ledger", str(run), "Only runs of clinic-mm screen have one")
    return _known(Ledger(path, reading(path)))


def _known(ledger: Ledger) -> Ledger:
    with told(ledger.path):
        version = ledger.meta("schema_version")
    if version != str(VERSION):
        ledger.db.close()
        mend = "Use the version of clinic_mm that wrote it, or screen again into a new folder"
        raise ArtifactError(f"The ledger is of version {version or 'unknown'}", str(ledger.path), mend)
    return ledger


def _record(db: sqlite3.Connection, answered: Answered, model_hash: str, settings_hash: str) -> None:
    shard = answered.shard
    told = (shard.name, shard.size, shard.sha256, shard.mtime_ns, shard.rows) if shard else (None, None, None, None, 0)
    db.execute(
        "INSERT OR REPLACE INTO units"
        " (number, state, shard, size, sha256, mtime_ns, rows, model_hash, settings_hash, at)"
        " VALUES (?, 'ended', ?, ?, ?, ?, ?, ?, ?, ?)",
        (answered.number, *told, model_hash, settings_hash, datetime.now(UTC).isoformat()),
    )
    for row in answered.rows:
        db.execute(
            "UPDATE cases SET state = iif(? AND tries + 1 >= ?, 'quarantined', ?), tries = tries + ?, silent = ?,"
            " urgency = ?, pattern = ?, reason = ?, refused = ? WHERE case_key = ? AND unit = ?",
            (
                (failed := row.state == "failed"),
                MOST_TRIES,
                row.state,
                failed,
                row.silent,
                row.urgency,
                row.pattern,
                row.reason,
                " ".join(row.refused),
                row.case_key,
                answered.number,
            ),
        )
        _whys(db, row.case_key, [(why.status, why.modality, why.code, why.why) for why in row.whys])


def _whys(db: sqlite3.Connection, case_key: str, whys: Iterable[tuple[str, str, str, str]]) -> None:
    (case_id,) = db.execute("SELECT id FROM cases WHERE case_key = ?", (case_key,)).fetchone()
    db.execute("DELETE FROM whys WHERE case_id = ?", (case_id,))
    db.executemany("INSERT INTO whys VALUES (?, ?, ?, ?, ?)", [(case_id, *why) for why in whys])


def _one(db: sqlite3.Connection, query: str) -> int:
    return int(db.execute(query).fetchone()[0])
