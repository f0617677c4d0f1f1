"""Break the glass: see a closed case, or what is masked of one, in an emergency. The reason is kept for ever.

In:  the case of the address, a reason. Out: four hours of that case for this person, and a line in the audit chain.
"""

from urllib.parse import quote

import streamlit as st

import guard
from clinic_mm.errors import ClinicError
from components.banner import trouble
from components.case_key import asked_case
from components.plain import plain
from guard import room
from guard.glass import break_it


def main() -> None:
    """Draw the page."""
    person, case_key = guard.need("break_glass"), asked_case()
    st.header("Break the glass")
    st.markdown(
        "Only where a patient would otherwise come to harm\\. Who broke it, when, for which case and why is written to "
        "the audit chain, cannot be taken back, and is looked at afterwards\\. It holds for four hours\\."
    )
    with st.form("glass", border=False):
        case_key = st.text_input("Case key", case_key, max_chars=128)
        shortest = room.opened().site.glass.shortest_reason
        reason = st.text_area("Reason", max_chars=500, help=f"{shortest} characters or more")
        sure = st.form_submit_button("Break the glass", icon=":material/e911_emergency:")
    if not sure:
        return
    try:
        break_it(person, case_key.strip(), reason)
    except ClinicError as error:
        trouble(error)
        return
    st.success(f"Open for four hours: case {plain(case_key.strip())}\\.", icon=":material/lock_open:")
    st.link_button("To the case", f"/case?case={quote(case_key.strip())}")


main()
