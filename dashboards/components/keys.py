"""The keys and mouse bindings of one place of the dashboard, from `schemas/keymap.toml`.

In:  the name of a place. Out: plain data, as canvases and the `?` panel take it.
"""

from functools import cache
from typing import Any, Final

from clinic_mm.bundle import policy

TAKEN: Final = frozenset({"c", "r"})
"""By Streamlit: clear the caches, run again."""
MOUSE: Final = "mouse"
EVERYWHERE: Final = "page"
"""The place whose keys hold on every page."""
FOCUSED: Final = {
    "ct": "CT, once it has the focus",
    "xray": "X-ray, once it has the focus",
    "eeg": "EEG, once it has the focus",
    "timeline": "Patient record, once it has the focus",
}
"""Places with keys of their own, in words."""


def keymap(place: str) -> dict[str, Any]:
    """`keys`: rows of action, keys and what it does, in the order of the file; `mouse`: gesture to action."""
    table = _table()[place]
    rows = [{"action": action, **row} for action, row in table.items() if action != MOUSE]
    return {"keys": rows, "mouse": table.get(MOUSE, {})}


def keymap_of_page(place: str) -> dict[str, Any]:
    """The same of a page, with the keys that hold on every page behind its own."""
    own, every = keymap(place), keymap(EVERYWHERE)
    return own if place == EVERYWHERE else {"keys": [*own["keys"], *every["keys"]], "mouse": own["mouse"]}


def has_keys(place: str) -> bool:
    """Whether a place has keys of its own."""
    return place in _table()


@cache
def _table() -> dict[str, Any]:
    return policy("keymap")
