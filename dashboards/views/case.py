"""One case: read first, then the answer, what it rests on, what is missing; the decision; the evidence itself.

The case stands in the address as `?case=<case_key>`, which is opaque. Where the site asks for the reader's opinion
first, nothing of the answer is in the page before: it is not fetched (`Store.prediction` would refuse).
"""

from typing import Final

import streamlit as st

import guard
from clinic_mm.report.run import Prediction
from clinic_mm.report.words import shows_answer
from clinic_mm.store.values import CaseFile, WorklistQuery
from components.acts import tell
from components.ahead import ahead
from components.answer import further, headline, remarks, shares, what_if
from components.bindings import bindings
from components.case_key import asked_case
from components.decision import history, panel
from components.handed_on import report_links
from components.opened import marked, opened_run, store
from components.plain import plain
from components.ranking import labels
from components.similar import like_this_one, nearest_cases
from components.tiles import tiles
from guard import room

ORDER: Final = "list-order-of-keys"
PICK: Final = ".st-key-pick-{} input[type=radio]"
TARGETS: Final[dict[str, tuple[str, int]]] = {
    **{
        name: (f".st-key-do-{name} button", 0) for name in ("begin", "opinion", "accept", "override", "sign", "comment")
    },
    **{name: (f".st-key-do-{name} button", 0) for name in ("release", "next", "last", "list")},
    **{f"verdict_{n}": (PICK.format("verdict"), n - 1) for n in (1, 2)},
    **{f"sure_{n}": (PICK.format("sure"), n - 1) for n in (1, 2, 3, 4)},
}


def main() -> None:
    """Draw the page."""
    case_key = asked_case()
    if not case_key:
        st.markdown("No case is chosen\\. Open one from the worklist\\.")
        if st.button("To the worklist"):
            st.switch_page("views/worklist.py")
        return
    person, info = guard.need("see_case", case_key), opened_run().info
    file, found = _looked_up(case_key, person)
    named = labels(info)
    order = _order(person)
    _heading(file, order)
    bindings("case", TARGETS, scope=case_key, focused=True)
    tell()
    left, right = st.columns([2, 3], gap="large")
    with left:
        if found is not None and not file.sealed:
            with st.container(border=True):
                headline(found)
                like_this_one(found, store().alike(case_key))
        with st.container(border=True):
            panel(file, found, info, person)
            history(file, person)
            report_links(file, found, info, person)
    with right:
        if file.sealed or found is None:
            _without(file, found, named)
        else:
            _answer(found, named)
    if found is not None:
        tiles(found, dict(info.modalities), named)
    ahead(order[order.index(case_key) + 1 :] if case_key in order else [], f"ahead-{case_key}")
    if found is not None and not file.sealed:
        hashes = {"Prediction": found.content_hash, "model": found.model_hash, "input": found.input_hash}
        st.caption(" · ".join(f"{name} {plain(value[:16])}…" for name, value in hashes.items()))


def _looked_up(case_key: str, person: guard.Person) -> tuple[CaseFile, Prediction | None]:
    """The case, and as much of its answer as this person may see now."""
    sealed_for = person.user if room.opened().site.read_first else ""
    file = store().case(case_key, seen_by=sealed_for)
    if file.sealed:
        return file, store().evidence_of(case_key)
    found = store().prediction(case_key, person.user, read_first=bool(sealed_for), now=room.now())
    return file, marked(found) if found is not None else None


def _answer(found: Prediction, named: dict[str, str]) -> None:
    """What the answer rests on, and what is missing."""
    if shows_answer(found) or not found.withheld:
        with st.container(border=True):
            shares(found, named)
            what_if(found, named)
            further(found, named)
            nearest_cases(found, named)
    with st.container(border=True):
        remarks(found, named)


def _without(file: CaseFile, found: Prediction | None, named: dict[str, str]) -> None:
    """What is known of the evidence, where no answer is to be seen."""
    with st.container(border=True):
        if file.sealed:
            st.subheader("The answer is sealed")
            st.markdown("It opens when you have given your own opinion, or when the case is signed\\.")
        if found is not None:
            remarks(found, named)
        else:
            st.markdown(plain(file.reason or "There is no answer yet"))


def _order(person: guard.Person) -> list[str]:
    """The cases of the list that the reader came from; of the first page where he came by the address."""
    if ORDER not in st.session_state:
        rows = store().worklist(WorklistQuery(sealed_for=person.user), room.now()).rows
        st.session_state[ORDER] = [row.case_key for row in rows]
    return list(st.session_state[ORDER])


def _heading(file: CaseFile, order: list[str]) -> None:
    at = order.index(file.case_key) if file.case_key in order else -1
    title, home, back, on = st.columns([7, 1.4, 1.3, 1.1], vertical_alignment="bottom")
    title.header(f"Case {plain(file.case_key)}")
    if at >= 0:
        title.caption(f"Number {at + 1} of {len(order)} on this page of the worklist\\. ? shows all keys\\.")
    with home, st.container(key="do-list"):
        if st.button("Worklist", icon=":material/list:", width="stretch"):
            st.switch_page("views/worklist.py")
    with back, st.container(key="do-last"):
        if st.button("Previous", disabled=at <= 0, icon=":material/chevron_left:", width="stretch"):
            st.switch_page("views/case.py", query_params={"case": order[at - 1]})
    with on, st.container(key="do-next"):
        if st.button("Next", disabled=not 0 <= at < len(order) - 1, icon=":material/chevron_right:", width="stretch"):
            st.switch_page("views/case.py", query_params={"case": order[at + 1]})


main()
