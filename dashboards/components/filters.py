"""What a reader wants on his work list: filters, their order, and the lists that he keeps under a name.

In:  choices on the page. Out: a `WorklistQuery`, without the place where a page begins.
"""

from typing import Any, Final, Literal

import streamlit as st

import guard
from clinic_mm.report.run import RunInfo
from clinic_mm.store.values import STATES, TO_READ, WorklistQuery
from components.acts import attempt
from components.opened import store
from components.plain import plain
from components.ranking import STATE_WORDS, labels

ORDERS: Final[dict[str, Literal["urgency", "waiting"]]] = {"Most urgent": "urgency", "Waiting longest": "waiting"}
ANY, MINE, NOBODYS = "Anybody", "Me", "Nobody"
NONE: Final = "none"
ORDER_NEXT: Final = "list-order-next"
KEYS: Final = ("text", "states", "pattern", "answer", "assigned", "order")


def in_order(order: str) -> None:
    """Draw the whole page anew with another order; for the list, which is drawn after the filters."""
    st.session_state[ORDER_NEXT] = next(words for words, one in ORDERS.items() if one == order)
    st.rerun()


def asked(info: RunInfo, person: guard.Person) -> WorklistQuery:
    """Draw the filters; what they ask for."""
    if wanted := st.session_state.pop(ORDER_NEXT, ""):  # a filter that is on the page already cannot be set
        st.session_state["list-order"] = wanted
    one, three, four, five, six = st.columns([2, 3, 2, 2, 1.6], vertical_alignment="bottom")
    with one, st.container(key="list-search"):
        text = st.text_input("Case key contains", key="list-text")
    states = st.pills(
        "States",
        STATES,
        default=None if "list-states" in st.session_state else TO_READ,
        selection_mode="multi",
        format_func=lambda state: STATE_WORDS[state],
        key="list-states",
    )
    named = labels(info)
    pattern = three.multiselect(
        "Exactly this evidence",
        list(named),
        format_func=lambda name: named[name],
        key="list-pattern",
        placeholder="Any",
    )
    answers = [None, *info.classes, NONE]
    answer = four.selectbox("Answer", answers, format_func=_answer_in_words, key="list-answer")
    order = five.selectbox("Order", list(ORDERS), key="list-order")
    assigned = {MINE: person.user, NOBODYS: ""}.get(str(st.session_state.get("list-assigned", ANY)))
    query = WorklistQuery(
        states=tuple(states) or TO_READ,
        pattern=tuple(sorted(pattern)) or None,
        answer=answer,
        text=text,
        assigned=assigned,
        order=ORDERS[order],
    )
    if person.may("filters"):
        with six:
            _saved(query, person)
    return query


def _saved(query: WorklistQuery, person: guard.Person) -> None:
    """The lists that the reader keeps."""
    kept = store().filters(person.user)
    with st.popover(f"Saved lists ({len(kept)})", icon=":material/bookmark:"):
        st.selectbox("For whom", [ANY, MINE, NOBODYS], key="list-assigned")
        for at, one in enumerate(kept):
            open_it, drop_it = st.columns([5, 1])
            open_it.button(plain(one.name), key=f"list-open-{at}", on_click=_take, args=(one.query, person.user))
            drop_it.button("Forget", key=f"list-drop-{at}", on_click=_drop, args=(one.name,))
        st.text_input("Keep what is shown as", key="list-name", max_chars=80)
        st.button("Keep", on_click=_keep, args=(query,), icon=":material/bookmark_add:")


def _take(query: WorklistQuery, user: str) -> None:
    """Put a kept list into the filters."""
    order = next(words for words, order in ORDERS.items() if order == query.order)
    assigned = ANY if query.assigned is None else MINE if query.assigned == user else NOBODYS
    values: dict[str, Any] = {
        "text": query.text,
        "states": list(query.states),
        "pattern": list(query.pattern or ()),
        "answer": query.answer,
        "assigned": assigned,
        "order": order,
    }
    for key in KEYS:
        st.session_state[f"list-{key}"] = values[key]


def _keep(query: WorklistQuery) -> None:
    name = str(st.session_state.get("list-name", ""))
    attempt("filters", None, lambda user: store().save_filter(user, name, query), "Kept.")


def _drop(name: str) -> None:
    attempt("filters", None, lambda user: store().drop_filter(user, name), "Forgotten.")


def _answer_in_words(answer: str | None) -> str:
    return "Any" if answer is None else "No answer" if answer == NONE else str(answer)
