"""A watch in the browser that takes the page off the screen when the session is over.

In:  whether it is over already. Out: nothing to see.
"""

from pathlib import Path
from typing import Final

import streamlit as st

CODE: Final = (Path(__file__).parent / "watch.js").read_text(encoding="utf-8")


def watch(*, over: bool = False) -> None:
    """Ask now and then whether the session lasts, and go to the sign-in page when it does not, or at once."""
    component = st.components.v2.component("session_watch", html="<span></span>", js=CODE)
    component(key="session-over" if over else "session-watch", data={"over": over}, height=1)
