"""The store as everything else sees it: `open_store`, and what can be asked of it and done in it.

In:  a URL, the folder of audit heads. Out: a `Store`. All acts go through it, each with its audit link, in one
transaction.

    url    a path of an SQLite file, sqlite:///… or postgresql://…
    heads  a folder outside the database: the signed head of the audit chain, and its key (0600)

It knows cases and users by opaque keys alone. Who may do what is decided before (`dashboards/guard`), not here.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Self

from sqlalchemy import select, text

from clinic_mm.predict.prediction import Prediction
from clinic_mm.store import alike, casefile, importing, sealed, told
from clinic_mm.store import worklist as lists
from clinic_mm.store.acts import Acts, expire
from clinic_mm.store.audit import Audit
from clinic_mm.store.database import Database, opened, utc_now
from clinic_mm.store.feedback import FeedbackOf
from clinic_mm.store.filters import Filters
from clinic_mm.store.glass import Glass
from clinic_mm.store.models import CaseRow
from clinic_mm.store.sessions import Sessions
from clinic_mm.store.users import Users
from clinic_mm.store.values import CaseFile, Imported, SavedFilter, State, WorklistPage, WorklistQuery


class Store:
    """An open store; see `open_store`."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.users, self.sessions, self.audit = Users(db), Sessions(db), Audit(db)
        acts, self._glass, self._filters = Acts(db), Glass(db), Filters(db)
        self.begin, self.release, self.opinion, self.decide = acts.begin, acts.release, acts.opinion, acts.decide
        self.comment, self.sign, self.amend, self.assign = acts.comment, acts.sign, acts.amend, acts.assign
        self.prediction = acts.prediction
        self.break_glass, self.glass_broken = self._glass.broken, self._glass.is_broken
        self._feedback = FeedbackOf(db)
        self.outcome, self.feedback = self._feedback.outcome, self._feedback.of
        self.save_filter, self.drop_filter = self._filters.save, self._filters.drop

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back all connections."""
        self.db.close()

    def import_run(
        self, run: Path, now: datetime | None = None, hides: Callable[[tuple[str, ...]], str] | None = None
    ) -> Imported:
        """Import what is finished of a run and not in the store yet; see `store.importing`."""
        return importing.import_run(self.db, run, now, hides)

    def withhold(self, hides: Callable[[tuple[str, ...]], str]) -> int:
        """Hide the answers of some patterns from now on, and those of all others no more; see `store.told`.

        Args:
            hides: Why the answers of a pattern are hidden, "" where they are not (`MonitorState.withheld`).

        Returns:
            Cases that say something else now.
        """
        return told.withhold(self.db, hides)

    def worklist(self, query: WorklistQuery | None = None, now: datetime | None = None) -> WorklistPage:
        """One page of the work list; locks whose time is over are ended first, so that no case is kept from view."""
        at = now or self.db.clock()
        self._expire(at)
        with self.db.reading() as session:
            return lists.worklist(session, query or WorklistQuery(), at)

    def counts(self) -> dict[State, int]:
        """How many cases are in which state."""
        with self.db.reading() as session:
            return lists.counts(session)

    def case(self, case_key: str, *, seen_by: str = "") -> CaseFile:
        """All that is known of a case but its Prediction.

        Args:
            case_key: Of the case.
            seen_by: A reader who is to see nothing of the answer before he gave his own opinion; "" for everything.

        Raises:
            InputError: If the store has no such case.
        """
        with self.db.reading() as session:
            return casefile.case_file(session, case_key, seen_by)

    def evidence_of(self, case_key: str) -> Prediction | None:
        """What may be seen before the answer (`store.sealed`), and nobody is on record as having seen more.

        Raises:
            InputError: If the store has no such case.
        """
        with self.db.reading() as session:
            answer = casefile.answer_row(session, casefile.case_row(session, case_key))
            return sealed.evidence_only(casefile.parsed(answer)) if answer else None

    def alike(self, case_key: str) -> alike.Alike | None:
        """What became of the latest cases here with a near answer; None where too little is known."""
        with self.db.reading() as session:
            return alike.alike(session, case_key)

    def filters(self, user: str) -> tuple[SavedFilter, ...]:
        """The saved filters of a user, by name."""
        return self._filters.of(user)

    def pulse(self) -> int:
        """A number that grows with everything that changes: pages ask for it to know whether to ask again."""
        return self.audit.last()

    def version(self) -> str:
        """The version of its tables: that of the newest migration it went through."""
        with self.db.reading() as session:
            return str(session.scalar(text("SELECT version_num FROM alembic_version")) or "")

    def _expire(self, at: datetime) -> None:
        with self.db.reading() as session:
            over = session.scalars(select(CaseRow.case_key).where(CaseRow.lock_until <= at)).first()
        if over is not None:
            with self.db.writing(at) as work:
                expire(work)


def open_store(url: str, *, heads: Path, clock: Callable[[], datetime] = utc_now) -> Store:
    """Open a store, made where there is none, migrated where it is of an older version.

    Args:
        url: A path of an SQLite file, `sqlite:///…` or `postgresql://…`.
        heads: Folder outside the database for the signed head of the audit chain and its key.
        clock: Says what time it is where a caller does not; tests give their own.

    Raises:
        InputError: If it cannot be reached, or the folder not be used.
        ArtifactError: If it is damaged, or of a newer version.
        ExtraMissingError: If PostgreSQL is asked for, and its driver is not installed.
    """
    return Store(opened(url, heads, clock))
