"""The table of the work list: a component without an iframe, of headings, links and words that a screen reader reads.

In:  lines of `components.ranking`, where they stand in the list. Out: the case that was opened, the order asked for.

The browser says which case it opened, not which line: meanwhile another case may stand there. Being told is no right:
the page of the case asks again who may see it.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final, Literal

import streamlit as st

from components.canvas.script import script, text
from components.keys import keymap
from components.ranking import Line

Order = Literal["urgency", "waiting"]
HTML: Final = '<div class="viewer"><noscript>The list needs JavaScript.</noscript></div>'
BY_URGENCY: Final = "most urgent first; a case that waits rises by one whole urgency a week"
BY_WAITING: Final = "longest waiting first"
NOTHING: Final = "No case is like this"
COLUMNS: Final[Sequence[tuple[str, str, str]]] = (
    ("picture", "Picture", "To know a case again, not to read it: the middle slice of its CT, or its radiograph"),
    ("case", "Case", ""),
    ("state", "State", ""),
    (
        "urgency",
        "Urgency",
        "Calibrated probability of any class but the first. Sealed until you gave your opinion, where the site reads "
        "first; where no answer is given, a case stands at the base rate",
    ),
    ("why", "Why it stands here", ""),
    ("answer", "Answer", ""),
    ("evidence", "Evidence", ""),
    ("waits", "Waits", ""),
    ("reader", "Read by", ""),
    ("for", "For", ""),
)
SORTED: Final[dict[str, tuple[Order, str, str]]] = {
    # `other`: neither ascending nor descending, since waiting counts too (WAI-ARIA 1.2, aria-sort).
    "urgency": ("urgency", "other", BY_URGENCY),
    "waits": ("waiting", "descending", BY_WAITING),
}


def listing(lines: Sequence[Line], *, first: int, total: int, order: Order, numbered: int) -> tuple[str, str]:
    """Show a page of the list.

    Args:
        lines: Of `ranking.lines`.
        first: Lines of the pages before.
        total: Lines of all pages.
        order: That the list stands in.
        numbered: So many of the lines are opened by their number.

    Returns:
        Case that was opened and order that was asked for since the last run, "" each where there is none.
    """
    data = {
        "label": f"Work list, {BY_URGENCY if order == 'urgency' else BY_WAITING}",
        "columns": [_column(name, title, words, order) for name, title, words in COLUMNS],
        "rows": list(lines),
        "first": first,
        "total": total,
        "numbered": numbered,
        "nothing": NOTHING,
        "keymap": keymap("worklist"),
    }
    found = _component()(key="worklist-lines", data=data, on_open_change=_heard, on_order_change=_heard)
    opened, asked = getattr(found, "open", None), getattr(found, "order", None)
    orders = {name for name, _, _ in SORTED.values()}
    return opened if isinstance(opened, str) else "", asked if asked in orders and asked != order else ""


def _column(name: str, title: str, words: str, order: Order) -> dict[str, str]:
    told = {"name": name, "title": title, "help": words}
    if name not in SORTED:
        return told
    its, sort, does = SORTED[name]
    return {**told, "order": its, "sort": sort if its == order else "none", "does": does}


def _heard() -> None:
    """Streamlit wants to be told that a trigger is waited for."""


@cache
def _component() -> Any:  # noqa: ANN401 - Streamlit names no type of it
    css, js = text("worklist.css"), script("worklist.js")
    return st.components.v2.component("clinic_mm_worklist", html=HTML, css=css, js=js)
