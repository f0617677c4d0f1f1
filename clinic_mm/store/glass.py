"""Break-glass: a user who may not see a case sees it in an emergency, for a while, and it is on record why.

In:  user, case, reason. Out: whether the glass is broken. Who may break it is the business of the guard.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from clinic_mm.store.casefile import case_row
from clinic_mm.store.checked import known_user, plain_text
from clinic_mm.store.database import Database
from clinic_mm.store.models import GlassRow

OPEN_FOR: Final = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class Glass:
    """All glass that was broken."""

    db: Database

    def broken(self, user: str, case_key: str, reason: str, now: datetime | None = None) -> datetime:
        """Break it.

        Returns:
            Until when the user may see the case.

        Raises:
            InputError: If there is no such case or user, or the reason lacks.
        """
        reason = plain_text(reason, "reason", needed=True)
        with self.db.writing(now) as work:
            case_row(work.session, case_key)
            known_user(work, user)
            until = work.now + OPEN_FOR
            row = GlassRow(user_id=user, case_key=case_key, reason=reason, at=work.now, until=until)
            work.keep(row, "break_glass", user, case_key)
        return until

    def is_broken(self, user: str, case_key: str, now: datetime | None = None) -> bool:
        """Whether a user broke it, and that time is not over."""
        at = now or self.db.clock()
        with self.db.reading() as session:
            asked = select(GlassRow.number).where(
                GlassRow.user_id == user, GlassRow.case_key == case_key, GlassRow.at <= at, GlassRow.until > at
            )
            return session.scalars(asked).first() is not None
