"""Put a viewer on the page: a component without an iframe, its script of ES modules, one style, nothing built.

In:  the name of a module of this folder, the address of a study, what the viewer is told. Out: a mounted component.

Nothing that comes from data goes into the script: it is handed over as data, and shown as text.
"""

from functools import cache
from typing import Any

import streamlit as st

from components.canvas.script import script, text


def mount(name: str, key: str, data: dict[str, Any], *, style: str = "pixels.css") -> None:
    """Show a viewer; `data` travels with every rerun, so it holds addresses, not pixels."""
    _component(name, style)(key=key, data=data)


@cache
def _component(name: str, style: str) -> Any:  # noqa: ANN401 - Streamlit names no type of it
    css, js = text(style), script(f"{name}.js")
    html = '<div class="viewer"><noscript>Pictures need JavaScript; the text beside them does not.</noscript></div>'
    return st.components.v2.component(f"clinic_mm_{name}", html=html, css=css, js=js)
