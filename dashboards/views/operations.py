"""Operations: whether all is well, and else what to do; jobs, quarantine, disk, versions, audit. For administrators.

In:  the ledger of the run, its folders, what the room kept. Out: the page, which draws itself anew while it is open.

What it shows of cases are keys and reasons: no answer, no evidence. Its title and address name nothing of this machine.
"""

from typing import Final

import streamlit as st

import guard
from components import operator_parts as parts
from components.operator import told
from guard import room

EVERY_S: Final = 10
"""The page is drawn anew this often; no person is thought to be there because of it."""


def main() -> None:
    """Draw the page."""
    guard.need("operate")
    st.header("Operations")
    _now()
    st.divider()
    kinds = {"Disk": parts.disk, "Versions": parts.versions, "Audit": parts.audit}
    found = told(room.now())
    for tab, (_, draw) in zip(st.tabs(list(kinds)), kinds.items(), strict=True):
        with tab:
            draw(found)


@st.fragment(run_every=EVERY_S)
def _now() -> None:
    """What changes by itself; who may see it is asked each time."""
    guard.need("operate")
    now = room.now()
    found = told(now)
    parts.glance(found, now)
    parts.jobs(found, now)
    parts.quarantine(found)


main()
