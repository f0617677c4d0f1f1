"""One case: the answer first, what it rests on, what is missing, then the evidence itself.

The case stands in the address as `?case=<case_key>`, which is opaque.
"""

import streamlit as st

import guard
from components.ahead import ahead
from components.answer import further, headline, remarks, shares, what_if
from components.case_key import asked_case
from components.opened import opened_run, prediction, worklist
from components.plain import plain
from components.ranking import labels, ranked
from components.tiles import tiles


def main() -> None:
    """Draw the page."""
    case_key = asked_case()
    if not case_key:
        st.markdown("No case is chosen\\. Open one from the worklist\\.")
        if st.button("To the worklist"):
            st.switch_page("views/worklist.py")
        return
    guard.need("see_case", case_key)
    found, info = prediction(case_key), opened_run().info
    named = labels(info)
    order = list(ranked(worklist(), 1)["case_key"])
    _heading(case_key, order)
    left, *right = [st.container()] if found.withheld else st.columns([2, 3], gap="large")
    with left, st.container(border=True):
        headline(found)
        remarks(found, named)
    for column in right:
        with column, st.container(border=True):
            shares(found, named)
            what_if(found, named)
            further(found, named)
    tiles(found, dict(info.modalities), named)
    ahead(order[order.index(case_key) + 1 :] if case_key in order else [], f"ahead-{case_key}")
    hashes = {"Prediction": found.content_hash, "model": found.model_hash, "input": found.input_hash}
    st.caption(" · ".join(f"{name} {plain(value[:16])}…" for name, value in hashes.items()))


def _heading(case_key: str, order: list[str]) -> None:
    at = order.index(case_key) if case_key in order else -1
    title, back, on = st.columns([8, 1.2, 1.2], vertical_alignment="bottom")
    title.header(f"Case {plain(case_key)}")
    title.caption(f"Number {at + 1} of {len(order)} in the worklist")
    if back.button("Previous", disabled=at <= 0, icon=":material/chevron_left:", width="stretch"):
        st.switch_page("views/case.py", query_params={"case": order[at - 1]})
    if on.button("Next", disabled=not 0 <= at < len(order) - 1, icon=":material/chevron_right:", width="stretch"):
        st.switch_page("views/case.py", query_params={"case": order[at + 1]})


main()
