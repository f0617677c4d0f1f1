"""The ledger: what became of every case of a run, and the only truth about it. RUN/ledger.sqlite.

In:  outcomes of units. Out: what is still to be done, counts, the work list, and why cases have no answer.

SQLite in WAL mode, every commit synchronised (synchronous=FULL), one commit per unit. The driver of the run alone opens
it for writing, behind a lock that ends with its process; anybody may read meanwhile (`jobs.ledger_read`). What is to be
done is decided in `jobs.plan`; nothing here looks at a shard, a cohort or a model.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from clinic_mm.jobs.ledger_read import LedgerReader, known, one
from clinic_mm.jobs.unit import Answered, Died, Unit
from clinic_mm.report.ledger_file import COPY as COPY
from clinic_mm.report.ledger_file import DAMAGED, DamagedError, keep_copy, put_copy_in_place, told, writing
from clinic_mm.report.ledger_file import FILE as FILE

MOST_TRIES: Final = 3
"""So often a case may fail, or kill its worker; then it is quarantined."""


class Ledger(LedgerReader):
    """An open ledger, to be read and written; see `opened`."""

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
            first = 1 + one(
                db, "SELECT max(coalesce(max(unit), -1), coalesce((SELECT max(number) FROM units), -1)) FROM cases"
            )
            numbers = list(range(first, first + len(unit.cases)))
            rows = [(n, case.case_key) for n, case in zip(numbers, unit.cases, strict=True)]
            db.executemany("UPDATE cases SET unit = ? WHERE case_key = ?", rows)
        return numbers

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
            return known(Ledger(path, writing(path, new=not copied)))
        what = "The ledger was gone"
    except DamagedError:
        if not copied:
            raise
        what = f"The ledger was damaged (it is kept as {DAMAGED})"
    put_copy_in_place(run)
    say(f"{what}: its last copy takes its place, and what was done since is done again")
    return known(Ledger(path, writing(path)))


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
