"""Keys of a whole page: each presses a button that stands on it; `?` shows them all.

In:  a place of `schemas/keymap.toml`, where each action's button stands. Out: the case that was opened.

A key that somebody types into a field, or that a viewer has taken, does nothing here.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import streamlit as st

from components.canvas.script import script, text
from components.keys import keymap

HTML = '<div class="viewer"></div>'


def bindings(place: str, targets: dict[str, tuple[str, int]], lines: Sequence[str] = ()) -> str | None:
    """Listen.

    Args:
        place: Table of the keymap.
        targets: CSS selector of what each action presses, and which of those found; nothing happens where none is.
        lines: Cases that can be opened by number, as they stand on the screen: by the time a key is heard, another
            case may stand on the same line.

    Returns:
        The case of the line whose key was pressed since the last run; as the browser says, so it is no right.
    """
    data = {"keymap": keymap(place), "targets": targets, "lines": list(lines)}
    found = _component()(key=f"bindings-{place}", data=data, on_open_change=lambda: None)
    pressed = getattr(found, "open", None)
    return pressed if isinstance(pressed, str) else None


@cache
def _component() -> Any:  # noqa: ANN401 - Streamlit names no type of it
    css, js = text("pixels.css"), script("bindings.js")
    return st.components.v2.component("clinic_mm_bindings", html=HTML, css=css, js=js)
