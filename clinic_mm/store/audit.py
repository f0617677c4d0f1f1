"""Read the audit: its links, newest first, and the number of the last one.

In:  a database. Out: `Entry`s. Whether the chain is whole is said by `store.verify`.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from clinic_mm.store.chain import newest
from clinic_mm.store.database import Database
from clinic_mm.store.heads import Head
from clinic_mm.store.models import AuditRow
from clinic_mm.store.values import Entry
from clinic_mm.store.verify import Verified, verify


@dataclass(frozen=True, slots=True)
class Audit:
    """The audit chain of a store."""

    db: Database

    def entries(
        self, *, case_key: str | None = None, actor: str | None = None, before: int | None = None, limit: int = 100
    ) -> tuple[Entry, ...]:
        """Links, the newest first.

        Args:
            case_key: Of this case alone.
            actor: Of this user alone.
            before: Older than the link of this number.
            limit: At most so many.
        """
        asked = select(AuditRow).order_by(AuditRow.number.desc()).limit(limit)
        if case_key is not None:
            asked = asked.where(AuditRow.case_key == case_key)
        if actor is not None:
            asked = asked.where(AuditRow.actor == actor)
        if before is not None:
            asked = asked.where(AuditRow.number < before)
        with self.db.reading() as session:
            return tuple(
                Entry(number=r.number, at=r.at, actor=r.actor, act=r.act, case_key=r.case_key, details=r.details)
                for r in session.scalars(asked)
            )

    def note(self, act: str, actor: str, case_key: str = "", now: datetime | None = None, **details: object) -> int:
        """Put on record what pages and routes do: a case looked at, a report given out, somebody refused.

        Args:
            act: What, in one word.
            actor: Opaque id of who, "" for nobody known.
            case_key: Of the case, "" for none.
            now: By the clock where it is not given.
            details: Codes, hashes and numbers; never what a person wrote, nor anything identifying.

        Returns:
            The number of the link.
        """
        with self.db.writing(now) as work:
            return work.link(act, actor, case_key, **details)

    def verify(self, expect: Head | None = None) -> Verified:
        """Whether the chain is whole, also at its end, and everything it speaks of is as it was written."""
        return verify(self.db, expect)

    def last(self) -> int:
        """The number of the newest link: it grows with everything that changes, so pages can ask for it often."""
        with self.db.reading() as session:
            return newest(session).number
