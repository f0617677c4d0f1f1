"""Do what a person clicked, and say what came of it: done, refused, or that somebody else was quicker.

In:  an act of `schemas/roles.toml`, a case, what is to be done. Out: the act in the store; words for the next drawing.

Rights are asked for again at the click: a button that stood on a screen for an hour is no right. Whoever calls it in
a callback hands over the version of the case that was on the screen, not the one that is now.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

import streamlit as st

import guard
from clinic_mm.errors import ClinicError, UsageError
from clinic_mm.store.refused import ConflictError
from components.plain import plain
from guard import room

TOLD: Final = "told"


def attempt(act: str, case_key: str | None, doing: Callable[[str], object], done: str = "") -> None:
    """Do it as the person who asks; for callbacks.

    Args:
        act: What the person must be allowed to do.
        case_key: On which case, None for what is of no case.
        doing: Gets the opaque id of the person.
        done: What to say when it is done.
    """
    person = guard.current()
    try:
        if not person.may(act, case_key):
            raise UsageError("Your roles do not include this", act, "An administrator can change them")
        doing(person.user)
    except ConflictError as error:
        st.session_state[TOLD] = ("warning", conflict_in_words(error, person))
    except ClinicError as error:
        st.session_state[TOLD] = ("error", " ".join(f"{part}." for part in (error.what, error.mend) if part))
    else:
        st.session_state[TOLD] = ("success", done)


def tell() -> None:
    """Say what came of the last click, once."""
    kind, words = st.session_state.pop(TOLD, ("", ""))
    if words:
        say = {"warning": st.warning, "error": st.error, "success": st.success}[kind]
        icon = {"warning": "group", "error": "error", "success": "check"}[kind]
        say(plain(words), icon=f":material/{icon}:")


def conflict_in_words(error: ConflictError, person: guard.Person) -> str:
    """Who was quicker, and when: `Somebody else reads this case: Ann, 14:03 UTC. Nothing of yours was stored.`."""
    by = who(error.by, person) if error.by else "a newer answer of the model"
    at = f", {moment(error.at_time)}" if error.at_time else ""
    return f"{error.what}: {by}{at}. Nothing of yours was stored; this is the case as it is now."


def who(user: str, person: guard.Person | None = None) -> str:
    """The name of a user for the screen; `you` for the one who asks."""
    if person is not None and user == person.user:
        return "you"
    found = room.opened().store.users.by_id(user) if user else None
    return found.name if found else "somebody who is no user any more"


def moment(at: datetime) -> str:
    """A time of an act: `14:03 UTC` today, with the day before."""
    now = room.now()
    return f"{at:%H:%M} UTC" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M} UTC"
