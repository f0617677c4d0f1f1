"""Who asks, in a page: asked anew on every rerun, so that a session that was ended shows nothing more.

In:  the cookie that came with the page's own connection. Out: a Person; or the page ends here.
"""

from typing import NoReturn

import streamlit as st

from clinic_mm.errors import UsageError
from guard import room
from guard.person import Person
from guard.session import person_of
from guard.watch import watch


def current() -> Person:
    """Who asks. The page ends here for somebody whose session is over."""
    person = person_of(token())
    if person is None:
        st.warning("Your session has ended\\. Nothing is shown until you sign in again\\.", icon=":material/lock:")
        st.link_button("Sign in", "/sign-in")
        watch(over=True)
        _end()
    return person


def need(act: str, case_key: str | None = None) -> Person:
    """Who asks, if he may do the act; the page ends here for everyone else."""
    person = current()
    if not person.may(act, case_key):
        _refuse(person, act, case_key or "")
    return person


def token() -> str:
    """The token of the session, from the cookie that the browser sent when the page connected."""
    return str(st.context.cookies.get(room.opened().cookie, ""))


def _refuse(person: Person, act: str, case_key: str) -> NoReturn:
    """Say so; where only the glass stands between, show the way to it."""
    if person.may(act) and person.may("break_glass"):
        st.error("This case is closed\\. In an emergency you can break the glass\\.", icon=":material/lock:")
        if st.button("Break the glass", icon=":material/e911_emergency:"):
            st.switch_page("views/glass.py", query_params={"case": case_key})
    else:
        st.error("Your roles do not include this\\.", icon=":material/lock:")
    _end()


def _end() -> NoReturn:
    """End the page; where Streamlit would let it go on, since nobody runs it, it ends all the same."""
    st.stop()
    raise UsageError("Nobody may see this", "", "Start with: clinic-mm dashboard RUN")
