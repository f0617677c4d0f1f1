"""The access log: who (an opaque id), what kind of address, how it ended, how long it took. No name, path or query.

In:  an answered request. Out: one line, for `journalctl` or a file.

Which case was opened by whom is the business of the audit chain, not of a log that is copied and mailed around.
"""

import logging
import sys
from typing import Final

access: Final = logging.getLogger("clinic_mm.access")
trouble: Final = logging.getLogger("clinic_mm.dashboard")
NOBODY: Final = "-"


def answered(who: str, method: str, kind: str, status: int, took_ms: float) -> None:
    """Write one line."""
    access.info("%s %s %s %d %.0fms", who or NOBODY, method, kind, status, took_ms)


def failed(what: str, error: Exception) -> None:
    """Note an error by its type and place. Its message may hold what a file said, and is not written."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    place = f"{last.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{last.tb_lineno}" if last else "?"
    trouble.error("%s failed: %s at %s", what, type(error).__name__, place)


def mishap(error: Exception) -> bool:
    """Note an error of a page.

    Returns:
        True: Streamlit shows nothing of it; the page does (`st.App(on_script_error=)`).
    """
    import streamlit as st

    failed("a page", error)
    st.error("This page could not be shown\\. The operator finds the reason in the log\\.", icon=":material/error:")
    return True


def start() -> None:
    """Log to stderr, and silence what writes messages or addresses of its own."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
    for ours in (access, trouble):
        ours.handlers = [handler]
        ours.propagate = False
        ours.setLevel(logging.INFO)
    for theirs in ("streamlit.error_util", "streamlit.web.server.starlette.starlette_auth_routes", "uvicorn.access"):
        silent = logging.getLogger(theirs)
        silent.disabled = True
        silent.propagate = False
