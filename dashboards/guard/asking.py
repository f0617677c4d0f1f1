"""Who asks, in a page: asked anew on every rerun, so that a session that was ended shows nothing more.

In:  the cookie that came with the page's own connection. Out: a Person; or the page ends here.
"""

import streamlit as st

from guard import room
from guard.person import Person
from guard.session import person_of


def current() -> Person:
    """Who asks. The page ends here for somebody whose session is over."""
    person = person_of(token())
    if person is None:
        st.warning("Your session has ended\\. Nothing is shown until you sign in again\\.", icon=":material/lock:")
        st.link_button("Sign in", "/sign-in")
        st.stop()
    return person


def need(act: str, case_key: str | None = None) -> Person:
    """Who asks, if he may do the act; the page ends here for everyone else."""
    person = current()
    if not person.may(act, case_key):
        st.error("Your roles do not include this\\.", icon=":material/lock:")
        st.stop()
    return person


def token() -> str:
    """The token of the session, from the cookie that the browser sent when the page connected."""
    return str(st.context.cookies.get(room.opened().cookie, ""))
