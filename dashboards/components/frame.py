"""What every page has around it: its style, light or dark, keys where it has none of its own.

In:  the address of the page that is open, those of all. Out: nothing to see.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

import streamlit as st

from components.bindings import bindings
from components.canvas.script import script, text
from components.keys import has_keys

HTML: Final = '<span class="look"></span>'


def frame(path: str, paths: Iterable[str]) -> None:
    """Draw it.

    Args:
        path: Of the open page, as `schemas/roles.toml` names it; a page with keys of its own listens to them itself.
        paths: Of all pages: light or dark is kept by the browser for each.
    """
    st.html(f"<style>{text('page.css')}</style>")
    _component()(key="look", data={"paths": ["/", *(f"/{one}" for one in paths)]}, height=1)
    if not has_keys(path):
        bindings()


@cache
def _component() -> Any:  # noqa: ANN401 - Streamlit names no type of it
    return st.components.v2.component("clinic_mm_look", html=HTML, js=script("look.js"))
