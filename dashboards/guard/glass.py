"""May this person do this: by role, and on a closed case by a glass that was broken and is still open.

In:  a Person, an act, a case key. Out: yes or no. Breaking the glass asks for a reason, which the audit chain keeps.
"""

from typing import Final

from clinic_mm.errors import UsageError
from guard import room
from guard.person import Person
from guard.rules import rules

LONGEST: Final = 500
"""Characters of a reason."""


def may(person: Person, act: str, case_key: str | None = None) -> bool:
    """Whether the person may do the act; on a closed case only while the glass is broken."""
    if not rules().allow(person.roles, act):
        return False
    if case_key is None or not rules().acts[act].glass or not room.opened().is_closed(case_key):
        return True
    return is_broken(person, case_key)


def is_broken(person: Person, case_key: str) -> bool:
    """Whether the person broke the glass of this case, and its time is not over."""
    return bool(room.opened().store.glass_broken(person.user, case_key, room.now()))


def break_it(person: Person, case_key: str, reason: str) -> None:
    """Open a case that is closed, or what is masked, for a while. It is written down for ever, with the reason.

    Raises:
        UsageError: If the person may not, or the reason is too short to mean anything.
    """
    glass = room.opened().site.glass
    told = " ".join(reason.split())
    if not rules().allow(person.roles, "break_glass"):
        raise UsageError("Your roles do not include breaking the glass", "", "Ask a reader or an administrator")
    if not glass.shortest_reason <= len(told) <= LONGEST:
        raise UsageError(
            f"The reason has {len(told)} characters",
            "",
            f"Write {glass.shortest_reason} to {LONGEST}: who reads the audit later has only this",
        )
    room.opened().store.break_glass(person.user, case_key, told, room.now())
