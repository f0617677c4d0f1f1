"""What stands above every page, and what stands in its place when something cannot be shown."""

from pathlib import Path

import streamlit as st

from clinic_mm.errors import ClinicError
from clinic_mm.evaluate.monitor.state import MonitorState
from clinic_mm.report.run import RunInfo
from clinic_mm.report.words import NOT_A_DEVICE, SIMULATED
from components.plain import plain

HIDES = {
    "nothing": "answers are still shown",
    "modality": "answers that use it are hidden",
    "pattern": "answers from exactly this evidence are hidden",
    "all": "all answers are hidden",
}


def banner(info: RunInfo) -> None:
    """Simulated or not, and never a medical device."""
    if info.simulated:
        st.warning(f"**{SIMULATED}** · {NOT_A_DEVICE}", icon=":material/science:")
    else:
        st.info(NOT_A_DEVICE, icon=":material/info:")


def hidden_answers(state: MonitorState | None) -> None:
    """What monitoring hides or warns of, on every page, and what is to be done."""
    for stop in state.stops if state else ():
        since = f" since {stop.since.time:%Y-%m-%d}" if stop.since.time else ""
        told = f"**{plain(stop.say)}**{plain(since)}: {HIDES[stop.hide]}\\. To do: {plain(stop.mend)}\\."
        (st.warning if stop.hide == "nothing" else st.error)(told, icon=":material/visibility_off:")


def trouble(error: ClinicError) -> None:
    """What went wrong, and how to mend it; no traceback."""
    place = f" ({plain(_place(error.where))})" if error.where else ""
    mend = f"  \n{plain(error.mend)}." if error.mend else ""
    st.error(f"{plain(error.what)}{place}.{mend}", icon=":material/error:")


def _place(where: str) -> str:
    """The place of an error, without where on this machine it is: readers need not know, and operators have a page."""
    return " / ".join(Path(part).name if part.startswith("/") else part for part in where.split(" / "))
