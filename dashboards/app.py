"""The dashboard of one finished screening run: worklist → case → about.

In:  the run folder, named by the environment variable CLINIC_MM_RUN. Out: pages on the loopback address.

No page runs a model: every number was stored by `clinic-mm screen`.
"""

from pathlib import Path

import streamlit as st

from clinic_mm.errors import ClinicError
from components.banner import banner, hidden_answers, trouble
from components.opened import monitor_state, opened_run

VIEWS = Path(__file__).parent / "views"

st.set_page_config(page_title="clinic_mm", layout="wide")
page = st.navigation(
    [
        st.Page(VIEWS / "worklist.py", title="Worklist", default=True),
        st.Page(VIEWS / "case.py", title="Case", url_path="case"),
        st.Page(VIEWS / "about.py", title="About this run", url_path="about"),
    ],
    position="top",
)
try:
    banner(opened_run().info)
    hidden_answers(monitor_state())
    page.run()
except ClinicError as error:
    trouble(error)
