"""What every act checks of who does it and of what he typed."""

from typing import Final

from clinic_mm.errors import InputError
from clinic_mm.store.database import Writing
from clinic_mm.store.models import UserRow

MOST_TEXT: Final = 4000


def known_user(work: Writing, user: str) -> UserRow:
    """A user who may act.

    Raises:
        InputError: If there is no such user, or he is disabled.
    """
    found = work.session.get(UserRow, user)
    if found is None or found.disabled:
        raise InputError("There is no such user, or he may not act any more", "user", "Sign in again")
    return found


def plain_text(given: str, field: str, *, needed: bool) -> str:
    """Text as it can be stored and hashed, without space around it.

    Raises:
        InputError: If it lacks, is too long, or holds what is no text.
    """
    text = given.strip()
    if needed and not text:
        raise InputError(f"The {field} is empty", field, "Say why, in a few words")
    if len(text) > MOST_TEXT:
        raise InputError(f"The {field} is longer than {MOST_TEXT} characters", field, "Shorten it")
    if "\x00" in text or text.encode("utf-8", "ignore").decode() != text:  # NUL, or half of a surrogate pair
        raise InputError(f"The {field} holds characters that are no text", field, "Type it again")
    return text
