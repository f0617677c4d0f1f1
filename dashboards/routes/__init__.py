"""Every route of the dashboard beside Streamlit's own: gathered here, and each one guarded.

In:  the modules named below, each with a list `routes` of Starlette routes. Out: one list for `st.App`.

A module is added by its name. A route whose endpoint is not `guard.guarded` stops the start.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Final

from starlette.routing import Route

from guard.guarded import MARK

MODULES: Final[Sequence[str]] = ("pixels", "eeg", "report", "thumb")
"""Modules of this folder: `pixels`, `eeg` …"""
BELOW: Final = "/v1/"


def gathered() -> list[Route]:
    """The routes of all modules.

    Raises:
        AssertionError: If one lies elsewhere than below /v1/, or answers without asking who asks.
    """
    found: list[Route] = [route for name in MODULES for route in import_module(f"routes.{name}").routes]
    for route in found:
        assert route.path.startswith(BELOW), f"{route.path} does not lie below {BELOW}"
        assert hasattr(route.endpoint, MARK), f"{route.path} answers without guard.guarded"
    return found
