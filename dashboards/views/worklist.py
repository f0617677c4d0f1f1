"""The work list: what waits to be read, the most urgent first, with the reason; who reads what now.

One page of the list is asked for at a time. The list is drawn anew by itself, without the rest of the page.
"""

from typing import Final

import streamlit as st

import guard
from clinic_mm.errors import ClinicError
from clinic_mm.store.values import WorklistPage, WorklistQuery
from components.acts import tell, who
from components.ahead import MOST, ahead
from components.banner import trouble
from components.bindings import bindings
from components.filters import asked
from components.opened import hidden, opened_run, store
from components.plain import plain
from components.ranking import STATE_WORDS, shown
from guard import room

ROW_PX: Final = 35
PAGE: Final = 50
EVERY_S: Final = 15
"""The list is drawn anew this often; no person is thought to be there because of it."""
ORDER: Final = "list-order-of-keys"
LINES: Final = 9


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
    chosen = _table(page, query)
    _turn(page)
    ahead(st.session_state[ORDER][:MOST], "ahead-worklist")
    targets = {
        "next": (".st-key-list-next button", 0),
        "last": (".st-key-list-last button", 0),
        "search": (".st-key-list-search input", 0),
    }
    pressed = bindings("worklist", targets, min(LINES, len(page.rows)))
    line = pressed if chosen is None else chosen
    if line is not None:
        st.switch_page("views/case.py", query_params={"case": page.rows[line].case_key})


def _table(page: WorklistPage, query: WorklistQuery) -> int | None:
    """The rows; the one that was clicked."""
    first = PAGE * len(st.session_state.get("list-before", ()))
    sort = "most urgent first; a case that waits rises by one whole urgency a week"
    if query.order == "waiting":
        sort = "longest waiting first"
    span = f"{first + 1} to {first + len(page.rows)} of {page.total:,}" if page.rows else "No"
    st.caption(f"{span} cases, {sort}\\. Click a line, or press its number, to open it; ? shows all keys\\.")
    table = shown(page.rows, opened_run().info, who, hidden)
    table.insert(0, "#", range(1, 1 + len(table)))
    chosen = st.dataframe(
        table,
        hide_index=True,
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        key=f"worklist-table-{first}",
        height=min(ROW_PX * (len(table) + 1) + 3, ROW_PX * 22),
        column_config=_columns(),
        alt="Work list: one line for each case, the next to be read first",
    )
    picked = [*chosen["selection"]["rows"], *(row for row, _ in chosen["selection"]["cells"])]
    return picked[0] if picked and picked[0] < len(page.rows) else None


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


def _columns() -> dict[str, object]:
    text = st.column_config.TextColumn
    return {
        "#": st.column_config.NumberColumn(width=40),
        "Case": text(width=130),
        "State": text(width=85),
        "Urgency": st.column_config.ProgressColumn(
            format="%.2f",
            min_value=0.0,
            max_value=1.0,
            width=110,
            help="Calibrated probability of any class but the first. Empty until you gave your opinion, and where "
            "no answer is given: such cases stand at the base rate",
        ),
        "Why it stands here": text(width=360),
        "Answer": text(width=85),
        "Evidence": text(width=210),
        "Waits": text(width=60),
        "Read by": text(width=150),
        "For": text(width=70),
    }


main()
