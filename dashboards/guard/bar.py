"""Who is signed in, and the way out; and a watch that takes the page off the screen when the session is over.

In:  the Person. Out: a small menu on every page.
"""

from pathlib import Path
from typing import Final

import streamlit as st

from components.plain import plain
from guard import asking
from guard.person import Person
from guard.sign_in import ended

WATCH: Final = (Path(__file__).parent / "watch.js").read_text(encoding="utf-8")


def bar(person: Person) -> None:
    """Draw it."""
    with st.container(horizontal=True, horizontal_alignment="right"), st.popover(plain(person.name), type="tertiary"):
        st.caption(", ".join(sorted(person.roles)))
        if st.button("Sign out", icon=":material/logout:", key="sign-out"):
            ended(asking.token())
            st.rerun()
    watch()


def watch() -> None:
    """Ask now and then whether the session lasts, and go to the sign-in page when it does not."""
    component = st.components.v2.component("session_watch", html="<span></span>", js=WATCH)
    component(key="session-watch", height=1)
