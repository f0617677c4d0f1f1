"""What stands above every page, and what stands in its place when something cannot be shown."""

import streamlit as st

from clinic_mm.errors import ClinicError
from clinic_mm.report.run import RunInfo
from clinic_mm.report.words import NOT_A_DEVICE, SIMULATED
from components.plain import plain


def banner(info: RunInfo) -> None:
    """Simulated or not, and never a medical device."""
    if info.simulated:
        st.warning(f"**{SIMULATED}** · {NOT_A_DEVICE}", icon=":material/science:")
    else:
        st.info(NOT_A_DEVICE, icon=":material/info:")


def trouble(error: ClinicError) -> None:
    """What went wrong, and how to mend it; no traceback."""
    place = f" ({plain(error.where)})" if error.where else ""
    mend = f"  \n{plain(error.mend)}." if error.mend else ""
    st.error(f"{plain(error.what)}{place}.{mend}", icon=":material/error:")
