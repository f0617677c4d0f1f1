"""From a token to a person: what the store knows of the session, and nothing else.

In:  the token of a cookie. Out: the Person, or None: unknown, over, signed out, or the user was disabled meanwhile.
"""

from typing import Final

from guard import room
from guard.person import Person

LONGEST: Final = 256


def person_of(token: str | None) -> Person | None:
    """Who holds this token, now."""
    if not token or len(token) > LONGEST or not token.isascii():
        return None
    user = room.opened().store.sessions.user_of(token, room.now())
    if user is None:
        return None
    return Person(user=user.name, opaque=user.opaque, roles=frozenset(user.roles))
