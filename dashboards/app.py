"""The reading room: who asks, the pages that he may see, and the one that he asked for.

In:  the run folder (CLINIC_MM_RUN) and the room (`guard.room`), named by the environment. Out: pages, behind the door.

No page runs a model: every number was stored by `clinic-mm screen`.
"""

from pathlib import Path

import streamlit as st

import guard
from clinic_mm.errors import ClinicError
from clinic_mm.report.words import NOT_A_DEVICE
from components.banner import banner, hidden_answers, trouble
from components.frame import frame
from components.opened import monitor_state, opened_run
from guard.bar import bar
from guard.rules import rules

VIEWS = Path(__file__).parent / "views"


def pages_of(person: guard.Person) -> list[st.Page]:
    """The pages whose act the person may do; the first is his home."""
    his = [page for page in rules().pages if person.may(page.act)]
    return [st.Page(VIEWS / page.view, title=page.title, url_path=page.path, default=page is his[0]) for page in his]


def _path(page: st.Page) -> str:
    """As the table of pages names it; Streamlit calls a person's home by the empty path."""
    return next(one.path for one in rules().pages if one.title == page.title)


ABOUT = f"clinic_mm, a reading room. {NOT_A_DEVICE}"
"""Streamlit shows its menu, with light and dark, only where it has something to say."""

st.set_page_config(page_title="clinic_mm", layout="wide", menu_items={"About": ABOUT})
try:
    person = guard.current()
    page = st.navigation(pages_of(person), position="top")
    left, right = st.columns([6, 1])
    with right:
        bar(person)
    with left:
        banner(opened_run().info)
        frame(_path(page), (one.path for one in rules().pages))
    hidden_answers(monitor_state())
    page.run()
except ClinicError as error:
    trouble(error)
