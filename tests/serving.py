"""A reading room that is served as `clinic-mm dashboard` serves it, and the cookie of a person who is signed in."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from clinic_mm.bundle import folder
from clinic_mm.store.store import open_store
from clinic_mm.store.values import ROLES, Role

STARTS_WITHIN_S = 240
PERSON = "Test Person"
PASSWORD = "a password of some length"  # noqa: S105 - of a test


class Address(str):
    """`http://127.0.0.1:PORT`, with what is needed to come in."""

    token: str
    cookie_name: str
    home: Path
    process: int

    @property
    def cookie(self) -> dict[str, str]:
        """For `context.add_cookies` of playwright."""
        return {"name": self.cookie_name, "value": self.token, "url": str(self)}

    @property
    def headers(self) -> dict[str, str]:
        """For requests of a signed-in person."""
        return {"Cookie": f"{self.cookie_name}={self.token}", "Origin": str(self)}


def a_session(home: Path, name: str, roles: Iterable[Role], run: Path | None = None) -> str:
    """The token of a new session; the user is made where there is none, and a run imported where one is named."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open_store(f"sqlite:///{home / 'store.sqlite'}", heads=home / "heads") as store:
        if run is not None:
            store.import_run(run)
        user = store.users.by_name(name) or store.users.add(name, roles, password=PASSWORD)
        return store.sessions.open(user.id)


@contextmanager
def serving(
    run: Path, home: Path, log: Path, roles: Iterable[Role] = ROLES, more: Mapping[str, str] | None = None
) -> Iterator[Address]:
    """Serve a run until the block ends.

    Args:
        run: Run folder.
        home: Of the room; made where there is none.
        log: Where the server's output goes.
        roles: Of the signed-in person.
        more: Further environment.
    """
    home = home.resolve()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = Address(f"http://127.0.0.1:{port}")
    found.token, found.home = a_session(home, PERSON, roles, run), home
    found.cookie_name = f"clinic_mm_{sha256(str(home).encode()).hexdigest()[:8]}"
    named = {"CLINIC_MM_RUN": str(run.resolve()), "CLINIC_MM_HOME": str(home), **(more or {})}
    command = [sys.executable, str(folder("dashboards") / "server.py"), "--port", str(port)]
    with log.open("ab") as out:
        server = subprocess.Popen(command, env={**os.environ, **named}, stdout=out, stderr=out)  # noqa: S603 - ours
        try:
            _wait(port, server, log)
            found.process = server.pid
            yield found
        finally:
            server.terminate()
            server.wait(60)


def _wait(port: int, server: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until:
        assert server.poll() is None, log.read_text(encoding="utf-8", errors="replace")[-2000:]
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.25)
    message = f"the dashboard did not start within {STARTS_WITHIN_S} s"
    raise AssertionError(message)
