"""Identifiers are masked by default: pages are shown to students, and screens are photographed.

In:  an identifier. Out: the same, or what stands in its place. It hides from eyes; to make data fit to leave is
the work of `clinic-mm deidentify`.
"""

from typing import Final

from guard import room
from guard.glass import is_broken
from guard.person import Person
from guard.rules import rules

HIDDEN: Final = "•••"


def masked(person: Person, text: str, case_key: str | None = None) -> str:
    """The text itself only where the site masks nothing, or to one who may see it and broke the glass of this case."""
    return text if sees_identity(person, case_key) else HIDDEN


def sees_identity(person: Person, case_key: str | None = None) -> bool:
    """Whether identifiers are shown to this person, of this case."""
    if not rules().allow(person.roles, "see_identity"):
        return False
    return not room.opened().site.teaching or (case_key is not None and is_broken(person, case_key))
