"""The keys and mouse bindings of one place of the dashboard, from `schemas/keymap.toml`.

In:  the name of a place. Out: plain data, as canvases and the `?` panel take it.
"""

from functools import cache
from typing import Any, Final

from clinic_mm.bundle import policy

TAKEN: Final = frozenset({"c", "r"})
"""By Streamlit: clear the caches, run again."""
MOUSE: Final = "mouse"


def keymap(place: str) -> dict[str, Any]:
    """`keys`: rows of action, keys and what it does, in the order of the file; `mouse`: gesture to action."""
    table = _table()[place]
    rows = [{"action": action, **row} for action, row in table.items() if action != MOUSE]
    return {"keys": rows, "mouse": table.get(MOUSE, {})}


@cache
def _table() -> dict[str, Any]:
    return policy("keymap")
