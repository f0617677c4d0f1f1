"""The work list: what waits to be read, the most urgent first, with the reason; who reads what now.

One page of the list is asked for at a time. The list is drawn anew by itself, without the rest of the page.
"""

from typing import Final

import streamlit as st

import guard
from clinic_mm.errors import ClinicError
from clinic_mm.store.values import WorklistPage, WorklistQuery
from components import ranking
from components.acts import tell, who
from components.ahead import MOST, ahead
from components.banner import trouble
from components.bindings import bindings
from components.filters import asked, in_order
from components.listing import BY_URGENCY, BY_WAITING, listing
from components.opened import hidden, opened_run, store
from components.plain import plain
from components.ranking import STATE_WORDS
from guard import room

PAGE: Final = 50
EVERY_S: Final = 15
"""The list is drawn anew this often; no person is thought to be there because of it."""
ORDER: Final = "list-order-of-keys"
LINES: Final = 9
WHY_SEALED: Final = (
    "This site reads first: urgency, its reason and the answer of a case are shown once you gave your own opinion on "
    "it, so that they cannot lead it; only the order of the list follows them\\."
)


def main() -> None:
    """Draw the page."""
    person, info = guard.need("see_worklist"), opened_run().info
    st.header(f"Worklist: {plain(info.target)}")
    tell()
    query = asked(info, person)
    if room.opened().site.read_first:
        query = query.model_copy(update={"sealed_for": person.user})
    _list(query)


@st.fragment(run_every=EVERY_S)
def _list(query: WorklistQuery) -> None:
    """The list itself: asks again by itself, and who may see it each time."""
    guard.need("see_worklist")
    try:
        page = store().worklist(query.model_copy(update={"limit": PAGE, "after": _begins(query)}), room.now())
    except ClinicError as error:
        trouble(error)
        return
    st.session_state[ORDER] = [row.case_key for row in page.rows]
    st.markdown(" · ".join(f"{STATE_WORDS[state]} **{count:,}**" for state, count in store().counts().items()))
    chosen, order = _table(page, query)
    _turn(page)
    ahead(st.session_state[ORDER][:MOST], "ahead-worklist")
    targets = {
        "next": (".st-key-list-next button", 0),
        "last": (".st-key-list-last button", 0),
        "search": (".st-key-list-search input", 0),
    }
    pressed = bindings("worklist", targets, st.session_state[ORDER][:LINES])
    if order:
        in_order(order)
    if key := pressed or chosen:
        st.switch_page("views/case.py", query_params={"case": key})


def _table(page: WorklistPage, query: WorklistQuery) -> tuple[str, str]:
    """The rows; the case that was opened, and the order that was asked for."""
    first = PAGE * len(st.session_state.get("list-before", ()))
    sort = BY_URGENCY if query.order == "urgency" else BY_WAITING
    span = f"{first + 1} to {first + len(page.rows)} of {page.total:,}" if page.rows else "No"
    st.caption(f"{span} cases, {sort}\\. Arrow keys and Enter, or its number, open a case; ? shows all keys\\.")
    if query.sealed_for:
        st.caption(WHY_SEALED)
    lines = ranking.lines(page.rows, opened_run().info, who, hidden)
    return listing(lines, first=first, total=page.total, order=query.order, numbered=LINES)


def _turn(page: WorklistPage) -> None:
    """Pages before and after."""
    before = st.session_state["list-before"]
    back, on, _ = st.columns([1, 1, 8])
    with back, st.container(key="list-last"):
        st.button(
            "Before", disabled=not before, on_click=before.pop if before else None, icon=":material/chevron_left:"
        )
    with on, st.container(key="list-next"):
        st.button(
            "Next",
            disabled=page.next is None,
            on_click=lambda: before.append(page.next),
            icon=":material/chevron_right:",
        )


def _begins(query: WorklistQuery) -> tuple[float, str] | None:
    """Where the page begins; at the top where the filters have changed."""
    asked_for = query.model_dump_json()
    if st.session_state.get("list-asked") != asked_for:
        st.session_state["list-asked"], st.session_state["list-before"] = asked_for, []
    before = st.session_state["list-before"]
    return before[-1] if before else None


main()
