"""The states of a case, which may follow which, and how an act moves and is refused.

    new → running → ready → in_review → signed → amended
           ↑_________|  ↑______|                  ↺

In:  a case, who acts, the version he saw. Out: the case moved on, or a ConflictError that says who was quicker.
"""

from datetime import datetime, timedelta
from typing import Final

from clinic_mm.errors import InputError
from clinic_mm.store.models import CaseRow
from clinic_mm.store.refused import ConflictError
from clinic_mm.store.values import State

MAY_FOLLOW: Final[dict[str, frozenset[State]]] = {
    "new": frozenset({"running", "ready"}),
    "running": frozenset({"new", "ready"}),
    "ready": frozenset({"running", "in_review"}),
    "in_review": frozenset({"ready", "signed"}),
    "signed": frozenset({"amended"}),
    "amended": frozenset({"amended"}),
}
LOCK: Final = timedelta(minutes=30)
"""A lock ends by itself when its holder does nothing for so long."""


def moved(case: CaseRow, to: State) -> None:
    """Move a case on; a step that the table does not have is our own mistake."""
    assert to in MAY_FOLLOW[case.state], f"{case.state} → {to}"
    case.state = to


def held_by_other(case: CaseRow, user: str, now: datetime) -> bool:
    """Whether somebody else reads it now."""
    return bool(case.lock_by) and case.lock_by != user and case.lock_until is not None and case.lock_until > now


def check_free(case: CaseRow, user: str, now: datetime) -> None:
    """Nobody else may read it now.

    Raises:
        ConflictError: If somebody does: who, since when.
    """
    if held_by_other(case, user, now):
        raise ConflictError("Somebody else reads this case", case.lock_by, case.lock_since)


def check_may_act(case: CaseRow, user: str, version: int, states: tuple[State, ...], now: datetime) -> None:
    """An act on the version that the user saw, in a state that it fits to, while nobody else reads the case.

    Raises:
        ConflictError: If somebody else reads it, or did something since.
        InputError: If its state does not fit.
    """
    check_free(case, user, now)
    if case.version != version:
        raise ConflictError("The case has changed since you opened it", case.last_by, case.last_at)
    if case.state not in states:
        mend = "Begin to read it first" if case.state in ("ready", "new", "running") else "Amend it instead"
        raise InputError(f"A case that is {case.state.replace('_', ' ')} cannot be changed so", case.case_key, mend)


def locked(case: CaseRow, user: str, now: datetime) -> None:
    """Give the lock to a user, or prolong his own."""
    if case.lock_by != user or case.lock_since is None:
        case.lock_by, case.lock_since = user, now
    case.lock_until = now + LOCK


def unlocked(case: CaseRow) -> None:
    """Take the lock away; a case that nobody decided waits again."""
    case.lock_by, case.lock_since, case.lock_until = "", None, None
    if case.state == "in_review" and not case.decided:
        moved(case, "ready")
