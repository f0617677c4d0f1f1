"""The database under the store: SQLite or PostgreSQL by URL, how it is opened and migrated, and its transactions.

In:  a URL, the folder of audit heads. Out: sessions for reading; transactions for writing that carry their audit links.

One writer at a time, in both: SQLite by BEGIN IMMEDIATE, PostgreSQL by an advisory lock that ends with the transaction.
So the audit chain has one order, two acts on one case cannot both win, and no deadlock is possible.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.orm import Session

from clinic_mm.errors import ArtifactError, ClinicError, InputError
from clinic_mm.extras import need
from clinic_mm.store.chain import digest, link, newest
from clinic_mm.store.heads import Head, Heads
from clinic_mm.store.models import ActRow, AuditRow, GlassRow

BUSY_S: Final = 30.0
ONE_WRITER: Final = 0x636D6D73746F7265
"""Number of the advisory lock: "cmmstore"."""
WRITES: Final = "clinic_mm_writes"
MIGRATIONS: Final = Path(__file__).resolve().parent / "migrations"


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


class Writing:
    """A transaction that writes; what it links into the audit is committed with it, or not at all."""

    def __init__(self, session: Session, heads: Heads, now: datetime) -> None:
        self.session, self.now, self.heads = session, now, heads
        self._head: Head | None = None

    @property
    def linked(self) -> Head | None:
        """The newest link of this transaction."""
        return self._head

    def link(self, act: str, actor: str = "", case_key: str = "", **details: object) -> int:
        """Add a link to the audit chain.

        Returns:
            Its number.
        """
        row: AuditRow = link(
            self._head or newest(self.session),
            self.heads,
            at=self.now,
            actor=actor,
            act=act,
            case_key=case_key,
            details=details,
        )
        self.session.add(row)
        self.session.flush()
        self._head = Head(row.number, row.hash)
        return row.number

    def keep(self, row: ActRow | GlassRow, act: str, actor: str, case_key: str, **details: object) -> int:
        """Keep what a person did, under the number of a new link that holds its hash."""
        row.number = (self._head or newest(self.session)).number + 1
        number = self.link(act, actor, case_key, digest=digest(row), **details)
        assert number == row.number, "one writer at a time"
        self.session.add(row)
        self.session.flush()
        return number


class Database:
    """An open database of the right version; see `opened`."""

    def __init__(self, engine: Engine, heads: Heads, clock: Callable[[], datetime]) -> None:
        self.engine, self.heads, self.clock = engine, heads, clock
        self._writing = engine.execution_options(**{WRITES: True})

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session for reading.

        Raises:
            InputError: If the database cannot be reached.
            ArtifactError: If it is damaged.
        """
        with _told(), Session(self.engine) as session:
            yield session

    @contextmanager
    def writing(self, now: datetime | None = None) -> Iterator[Writing]:
        """All of what is done inside, or nothing; its head is signed and kept outside once it is committed.

        Raises:
            InputError: If the database cannot be reached or written.
            ArtifactError: If it is damaged.
        """
        with _told(), Session(self._writing, expire_on_commit=False) as session:
            work = Writing(session, self.heads, now or self.clock())
            with session.begin():
                if self.engine.dialect.name == "postgresql":
                    session.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": ONE_WRITER})
                yield work
        if work.linked:
            self.heads.append(work.linked)

    def sign_newest(self) -> None:
        """Sign the newest link, if a crash came between its commit and its head; a forged one still has no MAC."""
        with self.reading() as session:
            stands = newest(session)
        last = self.heads.last()
        if stands.number > (last.number if last else 0):
            self.heads.append(stands)

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()


def opened(url: str, heads: Path, clock: Callable[[], datetime] = utc_now, *, only_read: bool = False) -> Database:
    """Open a database, made or migrated where it is of an older version.

    Args:
        url: A path of an SQLite file, `sqlite:///…` or `postgresql://…`.
        heads: Folder of audit key and heads.
        clock: Says what time it is where a caller does not.
        only_read: Make and change nothing: what is not there, or of another version, is refused.

    Raises:
        InputError: If it cannot be reached, or the folder not be used.
        ArtifactError: If it is damaged, or of a version that is not known here.
        ExtraMissingError: If PostgreSQL is asked for, and its driver is not installed.
    """
    engine = _engine(url, make=not only_read)
    try:
        database = Database(engine, Heads(heads, make=not only_read), clock)
        _of_this_version(engine, migrate=not only_read)
        if not only_read:
            database.sign_newest()
    except BaseException:
        engine.dispose()
        raise
    return database


def _engine(url: str, *, make: bool) -> Engine:
    try:
        made = make_url(url if "://" in url else f"sqlite:///{url}")
    except ArgumentError as error:
        mend = "Name a file, sqlite:///FILE or postgresql://USER@HOST/NAME"
        raise InputError("The address of the store cannot be read", "store", mend) from error
    kind = made.get_backend_name()
    if kind == "postgresql":
        need("psycopg")
        return create_engine(made.set(drivername="postgresql+psycopg"), pool_pre_ping=True, pool_size=10)
    if kind != "sqlite" or not made.database or made.database == ":memory:":
        mend = "Name a file, sqlite:///FILE or postgresql://USER@HOST/NAME"
        raise InputError("The store is kept in an SQLite file or in PostgreSQL", "store", mend)
    _make_private(Path(made.database), make=make)
    engine = create_engine(
        made.set(drivername="sqlite"), connect_args={"timeout": BUSY_S, "check_same_thread": False}, pool_size=10
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_private(path: Path, *, make: bool) -> None:
    """A new database is readable by its owner alone."""
    try:
        if make:
            path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | (os.O_CREAT if make else 0), 0o600))
    except OSError as error:
        beside = "Name its file: store.sqlite in reading_room/ beside the run, or in the folder that --home named"
        mend = beside if path.is_dir() else "Check the path and its permissions"
        raise InputError(f"The store cannot be opened: {error.strerror}", str(path), mend) from error


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_sqlite`, not by the driver
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA trusted_schema = OFF")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _of_this_version(engine: Engine, *, migrate: bool) -> None:
    """Of the newest version, brought there if need be, by one process at a time.

    Raises:
        ArtifactError: If the database is of a version that this clinic_mm does not know, or not to be migrated.
    """
    # Here, since the command line is not to load it before it is needed.
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    known = {script.revision for script in scripts.walk_revisions()}
    with _told(), engine.execution_options(**{WRITES: True}).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": ONE_WRITER})
        stands = MigrationContext.configure(connection).get_current_revision()
        if stands is not None and stands not in known:
            mend = "Use the version of clinic_mm that wrote it, or a newer one"
            raise ArtifactError("The store is of a version that is not known here", "store", mend)
        if stands == scripts.get_current_head():
            return
        if not migrate:
            mend = "Open it once with clinic-mm dashboard, which brings it to this version"
            raise ArtifactError("This is no store of this version", "store", mend)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _told() -> Iterator[None]:
    """The database's errors as ours; never with the statement, whose values may tell something."""
    try:
        yield
    except DBAPIError as error:
        raise _as_ours(error) from None


def _as_ours(error: DBAPIError) -> ClinicError:
    cause: Any = error.orig
    name = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None) or type(cause).__name__
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return InputError("Another program holds the store", "store", "Try again; close what holds it")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return ArtifactError("The store is damaged", "store", "Put your last backup in its place")
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "53")):
        return InputError(f"The store cannot be written ({name})", "store", "Make room on its disk, or allow writing")
    if name.startswith(("08", "28", "3D", "57P", "OperationalError")):
        mend = "Check that PostgreSQL runs, its address, and that this user may connect"
        return InputError(f"The store cannot be reached ({name})", "store", mend)
    return ClinicError(f"The store failed ({name})", "store", "Report this")
