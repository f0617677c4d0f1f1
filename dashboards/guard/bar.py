"""Who is signed in, and the way out.

In:  the Person. Out: a small menu on every page.
"""

import streamlit as st

from components.plain import plain
from guard import asking
from guard.person import Person
from guard.sign_in import ended
from guard.watch import watch


def bar(person: Person) -> None:
    """Draw it."""
    with st.popover(plain(person.name), icon=":material/person:", width="stretch"):
        st.caption(", ".join(sorted(person.roles)))
        if st.button("Sign out", icon=":material/logout:", key="sign-out"):
            ended(asking.token())
            st.rerun()
    watch()
