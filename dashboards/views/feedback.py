"""My readings: how often I agree with the model before and after I see it, when I switch, and who was right.

Of the person who asks, never of another. Counts, with what they are counted of; no rank, no mark.
"""

from typing import Final

import pandas as pd
import streamlit as st

import guard
from clinic_mm.store.values import Feedback, ReadCase
from components.opened import store
from components.plain import plain

SHOWN: Final = 500
FEW: Final = 20


def main() -> None:
    """Draw the page."""
    person = guard.need("feedback")
    st.header("My readings")
    st.markdown("Cases that you judged before you saw the answer\\. Nobody else is shown this page of yours\\.")
    found = store().feedback(person.user)
    if not found.opinions:
        st.markdown("None yet: begin a case, give your opinion first, and it is counted here\\.")
        return
    _figures(found)
    if found.opinions < FEW:
        st.caption(f"Of fewer than {FEW} cases such counts say little\\.")
    _cases(found)


def _figures(found: Feedback) -> None:
    agreement, switches, outcomes = st.columns(3, gap="large")
    with agreement, st.container(border=True):
        st.markdown("##### Agreement with the model")
        st.metric("Before you saw it", f"{found.agreed_before} of {found.opinions}")
        st.metric("In what you decided", f"{found.agreed_after} of {found.decided}")
        st.caption(plain(f"Of the {found.decided} decided, {found.agreed_first} agreed before you saw it."))
    with switches, st.container(border=True):
        st.markdown("##### Switches")
        st.metric("Toward the model", found.toward)
        st.metric("Away from the model", found.away)
        wrong = f"{found.toward_wrong} toward turned out wrong, {found.away_right} away turned out right"
        st.caption(plain(f"{wrong}, as far as outcomes are known." if found.outcomes else "No outcome is known yet."))
    with outcomes, st.container(border=True):
        st.markdown("##### Right, by later outcomes")
        if not found.outcomes:
            st.markdown("No outcome is known yet\\.")
            return
        st.metric("You, before", f"{found.right_before} of {found.outcomes}")
        st.metric("You, as decided", f"{found.right_after} of {found.outcomes}")
        st.metric("The model", f"{found.right_model} of {found.outcomes}")


def _cases(found: Feedback) -> None:
    st.markdown("##### Case by case, the latest first")
    rows = [_row(case) for case in found.cases[:SHOWN]]
    st.dataframe(pd.DataFrame(rows), hide_index=True, alt="Your readings, one line for each case")
    if len(found.cases) > SHOWN:
        st.caption(f"The latest {SHOWN} of {len(found.cases)}\\.")


def _row(case: ReadCase) -> dict[str, object]:
    switched = "toward the model" if case.toward else "away from the model" if case.away else ""
    return {
        "Case": case.case_key,
        "When (UTC)": f"{case.at:%Y-%m-%d %H:%M}",
        "You, before": case.before,
        "How sure": case.sure,
        "The model": case.model,
        "You, as decided": case.after or "not decided",
        "Switched": switched,
        "Outcome": case.outcome or "not known",
    }


main()
