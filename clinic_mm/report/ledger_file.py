"""The ledger as a file: its tables, how it is opened, copied and mended, and what SQLite's errors mean for an operator.

    RUN/ledger.sqlite          the ledger, in WAL mode, every commit synchronised
    RUN/ledger.copy.sqlite     a copy, some minutes old
    RUN/ledger.damaged.sqlite  what was found damaged, for whoever wants to know why

In:  a run folder. Out: a connection. What stands in the tables is the business of `jobs.ledger`, which writes it,
and of `report.live`, which only reads.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from clinic_mm.errors import ArtifactError, ClinicError, InputError
from clinic_mm.report.atomic import synchronised

FILE: Final = "ledger.sqlite"
COPY: Final = "ledger.copy.sqlite"
DAMAGED: Final = "ledger.damaged.sqlite"
VERSION: Final = 1
BUSY_MS: Final = 30_000
AGAIN: Final = "Start with --resume: its last copy takes its place; without a copy, screen into a new folder"
SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE cases (
    id INTEGER PRIMARY KEY,
    case_key TEXT NOT NULL UNIQUE,
    place INTEGER NOT NULL,
    input_hash TEXT NOT NULL,
    unit INTEGER,
    state TEXT NOT NULL DEFAULT 'pending',
    tries INTEGER NOT NULL DEFAULT 0,
    silent INTEGER NOT NULL DEFAULT 0,
    urgency REAL,
    pattern TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '',
    refused TEXT NOT NULL DEFAULT ''
);
CREATE INDEX cases_unit ON cases (unit, state);
CREATE INDEX cases_state ON cases (state, silent);
CREATE INDEX cases_urgency ON cases (urgency DESC, case_key) WHERE urgency IS NOT NULL;
CREATE TABLE units (
    number INTEGER PRIMARY KEY,
    state TEXT NOT NULL,
    shard TEXT,
    size INTEGER,
    sha256 TEXT,
    next_sha256 TEXT,
    mtime_ns INTEGER,
    rows INTEGER NOT NULL DEFAULT 0,
    model_hash TEXT,
    settings_hash TEXT,
    at TEXT NOT NULL
);
CREATE TABLE whys (case_id INTEGER NOT NULL, status TEXT, modality TEXT, code TEXT, why TEXT);
CREATE INDEX whys_case ON whys (case_id);
"""
"""`units.state`: claimed while it is worked on, ended once its rows stand in `cases`."""


class DamagedError(ArtifactError):
    """SQLite finds the ledger damaged."""


def writing(path: Path, *, new: bool = True) -> sqlite3.Connection:
    """A connection for writing; the tables are made where there are none.

    Args:
        path: The ledger.
        new: Whether it may be without tables; one that was filled before has been emptied, which is a damage.

    Raises:
        InputError: If it cannot be made or written, or another program holds it.
        DamagedError: If it is damaged.
    """
    with told(path):
        db = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None)
    try:
        with told(path):
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            if not db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
                if not new:
                    raise DamagedError("The ledger is empty", str(path.parent), AGAIN)
                db.executescript(f"BEGIN; {SCHEMA} INSERT INTO meta VALUES ('schema_version', '{VERSION}'); COMMIT;")  # noqa: S608
            if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise DamagedError("The ledger is damaged", str(path.parent), AGAIN)
    except BaseException:
        db.close()
        raise
    return db


def reading(path: Path) -> sqlite3.Connection:
    """A connection for reading, also while a driver writes, and in a folder that may only be read.

    Raises:
        DamagedError: If it is damaged.
    """
    with told(path):
        db = _read_only(path, "mode=ro")
        try:
            db.execute("SELECT 1 FROM sqlite_master")
        except sqlite3.OperationalError:  # a folder that may only be read has no place for the lock of readers
            db.close()
            db = _read_only(path, "immutable=1")
    return db


def _read_only(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, timeout=BUSY_MS / 1000)


def keep_copy(db: sqlite3.Connection, run: Path) -> None:
    """Copy an open ledger; the copy is whole or not there.

    Raises:
        InputError: If it cannot be written.
    """
    temp = run / f".{COPY}.{os.getpid()}.tmp"
    temp.unlink(missing_ok=True)
    with told(run / COPY):
        copy = sqlite3.connect(temp, isolation_level=None)
        try:
            copy.execute("PRAGMA synchronous = FULL")
            db.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, complete in itself
        finally:
            copy.close()
    temp.replace(run / COPY)
    synchronised(run)


def put_copy_in_place(run: Path) -> None:
    """Let the copy be the ledger; what was there is put aside."""
    path = run / FILE
    if path.is_file():
        shutil.copyfile(path, run / DAMAGED)
    for suffix in ("-wal", "-shm"):  # never to be read into another ledger
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    temp = run / f".{FILE}.{os.getpid()}.tmp"
    shutil.copyfile(run / COPY, temp)
    with temp.open("rb") as file:
        os.fsync(file.fileno())
    temp.replace(path)
    synchronised(run)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise _as_ours(error, path) from error


def _as_ours(error: sqlite3.Error, path: Path) -> ClinicError:
    name = getattr(error, "sqlite_errorname", "")
    where = str(path.parent)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return InputError("Another program holds the ledger", where, "Close it, and go on with --resume")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return DamagedError("The ledger is damaged", where, AGAIN)
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        what = f"The ledger cannot be written ({name.removeprefix('SQLITE_').lower()})"
        return InputError(what, where, "Make room on its disk, or allow writing, and go on with --resume")
    return ClinicError(f"The ledger failed ({name or type(error).__name__})", where, "Report this")
