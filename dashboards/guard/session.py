"""From a token to a person: what the store knows of the session, and when it was last used here.

In:  the token of a cookie. Out: the Person, or None: unknown, over, unused for too long, signed out, or disabled.

Use is kept in this process, not in the store: it changes with every click. Polling by an open page is not use.
"""

from collections import OrderedDict
from datetime import datetime, timedelta
from hashlib import sha256
from threading import Lock
from typing import Final

from guard import room
from guard.person import Person

LONGEST: Final = 256
MOST: Final = 10_000
"""Sessions whose last use is remembered; beyond these the longest unused are asked of the store alone."""


class Uses:
    """When each session was last used."""

    def __init__(self) -> None:
        self._last: OrderedDict[str, datetime] = OrderedDict()
        self._lock = Lock()

    def idle(self, key: str, at: datetime, longest: timedelta) -> bool:
        """Whether a session was not used for too long; one that was never seen begins now."""
        with self._lock:
            return at - self._last.setdefault(key, at) > longest

    def used(self, key: str, at: datetime) -> None:
        """A person did something."""
        with self._lock:
            self._last[key] = at
            self._last.move_to_end(key)
            while len(self._last) > MOST:
                self._last.popitem(last=False)

    def forget(self, key: str) -> None:
        """The session is over."""
        with self._lock:
            self._last.pop(key, None)


uses: Final = Uses()


def person_of(token: str | None, *, use: bool = False) -> Person | None:
    """Who holds this token, now.

    Args:
        token: Of the cookie.
        use: Whether the person did something, rather than a page that asks by itself.
    """
    if not token or len(token) > LONGEST or not token.isascii():
        return None
    at, here = room.now(), room.opened()
    key = key_of(token)
    if uses.idle(key, at, timedelta(minutes=here.site.sign_in.idle_minutes)):
        close(token)
        return None
    user = here.store.sessions.user_of(token, at)
    if user is None:
        uses.forget(key)
        return None
    if use:
        uses.used(key, at)
    return Person(user.id, user.name, frozenset(user.roles))


def begin(user: str, seconds: float | None = None) -> str:
    """Sign a user in: the token of his session.

    Args:
        user: Opaque id.
        seconds: How long at most, beside what the site says.
    """
    at, here = room.now(), room.opened()
    longest = 3600 * here.site.sign_in.hours if seconds is None else min(seconds, 3600 * here.site.sign_in.hours)
    return here.store.sessions.open(user, at, until=at + timedelta(seconds=longest))


def close(token: str) -> None:
    """End a session: its token opens nothing any more, in no process."""
    room.opened().store.sessions.close(token)
    uses.forget(key_of(token))


def key_of(token: str) -> str:
    """What stands for a session in memory: the token itself is kept nowhere."""
    return sha256(token.encode()).hexdigest()
