"""Serve the reading room: Streamlit behind the door, on one address and port. Started by `clinic-mm dashboard`.

In:  the environment of `guard.room`, the run (CLINIC_MM_RUN), `--port`, `--address`. Out: pages, routes, until stopped.

Nothing answers before the check of `guard.hardened` has passed.
"""

import argparse
import gc
import importlib
import os
import pkgutil
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import streamlit as st
import uvicorn
from starlette.middleware import Middleware
from streamlit import config

import components
from clinic_mm.errors import ClinicError
from guard import hardened, log, oidc, room, sign_in
from guard.door import Door
from guard.index import Index
from routes import gathered

SCRIPT: Final = Path(__file__).parent / "app.py"
LARGEST_FRAME: Final = 4 * 2**20
"""Bytes that a browser may send at once: it sends what was typed and clicked."""
LET_FINISH_S: Final = 5


def app() -> st.App:
    """The whole application, the door outermost."""
    return st.App(
        SCRIPT,
        routes=[*sign_in.routes, *oidc.routes, *gathered()],
        middleware=[Middleware(Door), Middleware(Index)],
        on_script_error=log.mishap,
        lifespan=settled,
    )


def configure(home: Path, address: str, port: int) -> None:
    """Read Streamlit's settings as it will use them, with ours of this start on top."""
    config._main_script_path = str(SCRIPT)  # so that .streamlit/config.toml beside app.py is found, as st.App does
    ours = {
        "server.address": address,
        "server.port": port,
        "server.cookieSecret": cookie_secret(home),
        "server.allowedHosts": list(room.opened().site.allowed_hosts),
        "secrets.files": [str(home / hardened.SECRETS)],
    }
    config.get_config_options(force_reparse=True, options_from_flags=ours)


def cookie_secret(home: Path) -> str:
    """The key of Streamlit's own cookies, the same for all processes of a room; made at the first start, 0600."""
    path = home / "cookie.key"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32))
    return path.read_text(encoding="ascii").strip()


def settle() -> None:
    """Import what pages are made of, and take it out of the hands of the garbage collector.

    Streamlit collects after every run of a page. Modules are 280,000 objects that never become garbage: going through
    them took 0.15 s of a processor for every click of a reader, more than the page itself.
    """
    for one in pkgutil.walk_packages(components.__path__, f"{components.__name__}."):
        importlib.import_module(one.name)
    gc.collect()
    gc.freeze()


@asynccontextmanager
async def settled(_: st.App) -> AsyncIterator[None]:
    """When Streamlit has started, which its caches want, and before the first request."""
    settle()
    yield


def serve(address: str, port: int) -> None:
    """Check, then answer until stopped.

    Raises:
        ClinicError: If anything weakens the room, or its settings or store cannot be used.
    """
    here = room.opened()
    log.start()
    configure(here.home, address, port)
    hardened.check(here.site, here.home, address)
    uvicorn.run(
        app(),
        host=address,
        port=port,
        lifespan="on",
        ws="websockets-sansio",
        ws_max_size=LARGEST_FRAME,
        ws_per_message_deflate=False,
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=list(here.site.proxy.trusted),
        timeout_graceful_shutdown=LET_FINISH_S,
    )


def main() -> int:
    """Serve; an error is told in one line, and its exit code is that of clinic_mm."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--address", default="127.0.0.1")
    asked.add_argument("--port", type=int, default=8501)
    given = asked.parse_args()
    try:
        serve(given.address, given.port)
    except ClinicError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
