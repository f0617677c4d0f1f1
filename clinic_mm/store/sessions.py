"""Who is signed in: sessions by random tokens, of which the store keeps the SHA-256 alone.

In:  users, tokens, times. Out: tokens; users. A session ends after a while of doing nothing, and at the latest after a
shift; when its user is disabled or gets a new password; and when it is closed.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete

from clinic_mm.errors import InputError
from clinic_mm.store.database import Database
from clinic_mm.store.models import SessionRow, UserRow
from clinic_mm.store.users import hashed, user_from
from clinic_mm.store.values import User

SHIFT: Final = timedelta(hours=12)
IDLE: Final = timedelta(hours=1)
EVERY: Final = timedelta(minutes=1)
"""So often at most it is written down that a session is in use."""


@dataclass(frozen=True, slots=True)
class Sessions:
    """All sessions of a store."""

    db: Database

    def open(self, user: str, now: datetime | None = None, *, until: datetime | None = None) -> str:
        """Sign a user in.

        Args:
            user: Who.
            now: By the clock where it is not given.
            until: When the session ends at the latest; after a shift where it is not given, and never later.

        Returns:
            The token: 256 random bits, which is kept nowhere here.

        Raises:
            InputError: If there is no such user, or he may not come in.
        """
        token = secrets.token_urlsafe(32)
        with self.db.writing(now) as work:
            row = work.session.get(UserRow, user)
            if row is None or row.disabled:
                raise InputError("There is no such user, or he may not act any more", "user", "Sign in again")
            work.session.execute(delete(SessionRow).where(SessionRow.until <= work.now))
            times = {
                "made_at": work.now,
                "seen_at": work.now,
                "until": min(until or work.now + SHIFT, work.now + SHIFT),
            }
            work.session.add(SessionRow(token_hash=hashed(token), user_id=user, **times))
            work.link("signed_in", user)
        return token

    def user_of(self, token: str, now: datetime | None = None) -> User | None:
        """Who has this token; None where it is none of ours, closed, or over."""
        at = now or self.db.clock()
        with self.db.reading() as session:
            found = session.get(SessionRow, hashed(token))
            if found is None or found.until <= at or found.seen_at + IDLE <= at:
                return None
            row = session.get(UserRow, found.user_id)
            if row is None or row.disabled:
                return None
            user, stale = user_from(row), found.seen_at + EVERY <= at
        if stale:
            with self.db.writing(at) as work:
                seen = work.session.get(SessionRow, hashed(token))
                if seen is not None:
                    seen.seen_at = max(seen.seen_at, at)
        return user

    def close(self, token: str, now: datetime | None = None) -> None:
        """Sign out; nothing happens where the token is none of ours."""
        with self.db.writing(now) as work:
            found = work.session.get(SessionRow, hashed(token))
            if found is not None:
                work.session.delete(found)
                work.link("signed_out", found.user_id)
