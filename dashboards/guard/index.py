"""The document that every page begins with: Streamlit's own, with our first script in its head.

In:  Streamlit's index.html, `first_look.js`. Out: HTML, the same for everybody, and the inline scripts of it.

Streamlit takes light or dark from what the browser keeps before it draws, and keeps nothing at first: a dark reading
room would come up light and be loaded a second time.
"""

import re
from functools import cache
from pathlib import Path
from typing import Final

import streamlit
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from guard.rules import rules

SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)
HEAD: Final = "<head>"


@cache
def document() -> str:
    """The whole of it."""
    theirs = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    ours = (Path(__file__).parent / "first_look.js").read_text(encoding="utf-8")
    before, head, after = theirs.partition(HEAD)
    return f"{before}{head}<script>{ours}</script>{after}"


def inline_scripts() -> list[str]:
    """What of it a policy has to allow by its hash."""
    return SCRIPT.findall(document())


class Index:
    """The middleware that answers it for every page; the door stands before it: `Middleware(Index)` of `st.App`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, one websocket, or the start of the server."""
        path = str(scope.get("path", ""))
        page = scope["type"] == "http" and (path == "/" or rules().page(path) is not None)
        await (HTMLResponse(document()) if page else self.app)(scope, receive, send)
