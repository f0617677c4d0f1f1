"""Keys of a whole page: each presses a button that stands on it; `?` shows them all.

In:  a place of `schemas/keymap.toml`, where each action's button stands. Out: the case that was opened.

A key that somebody types into a field, or that a viewer has taken, does nothing here. One that comes while the page is
being drawn is held until it stands (`canvas/bindings.js`).
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import streamlit as st

from components.canvas.script import script, text
from components.keys import EVERYWHERE, FOCUSED, keymap, keymap_of_page

HTML: Final = '<div class="viewer"></div>'
TARGETS: Final = {"look": ("[data-testid=stMainMenu] button", 0)}
"""Of the keys that hold on every page."""


def bindings(
    place: str = EVERYWHERE,
    targets: dict[str, tuple[str, int]] | None = None,
    lines: Sequence[str] = (),
    *,
    scope: str = "",
    focused: bool = False,
) -> str | None:
    """Listen.

    Args:
        place: Table of the keymap.
        targets: CSS selector of what each action presses, and which of those found; nothing happens where none is.
        lines: Cases that can be opened by number, as they stand on the screen: by the time a key is heard, another
            case may stand on the same line.
        scope: What the page is about, so that no key meant for one case acts on another.
        focused: Whether the page has viewers with keys of their own, which `?` then shows too.

    Returns:
        The case of the line whose key was pressed since the last run; as the browser says, so it is no right.
    """
    more = [(words, keymap(own)) for own, words in FOCUSED.items()] if focused else []
    told = {"targets": {**TARGETS, **(targets or {})}, "lines": list(lines), "scope": scope, "more": more}
    data = {"keymap": keymap_of_page(place), **told}
    found = _component()(key=f"bindings-{place}", data=data, on_open_change=lambda: None)
    pressed = getattr(found, "open", None)
    return pressed if isinstance(pressed, str) else None


@cache
def _component() -> Any:  # noqa: ANN401 - Streamlit names no type of it
    css, js = text("pixels.css"), script("bindings.js")
    return st.components.v2.component("clinic_mm_bindings", html=HTML, css=css, js=js)
