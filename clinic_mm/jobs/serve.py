"""Open the reading room of a run: its store, the first person, and the processes that answer, on this machine only.

In:  a run folder, where the room keeps what is its own, dashboard.toml. Out: the address and a one-time link on the
terminal, then pages until interrupted; answers that a running screening finishes meanwhile are taken into the store.

The pages themselves are in dashboards/; they run in processes of their own and know the room by their environment.
"""

import getpass
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from clinic_mm.bundle import folder
from clinic_mm.errors import UsageError
from clinic_mm.evaluate.monitor.state import read_state
from clinic_mm.jobs.taking_in import TakingIn
from clinic_mm.report.run import open_run
from clinic_mm.site import SiteSettings, read_site
from clinic_mm.store.store import Store, open_store
from clinic_mm.store.values import ROLES

Say = Callable[[str], None]

HOME: Final = "reading_room"
"""Beside the run where no folder is named: signatures must outlive a run that is made anew."""
DEMO_NAME: Final = "demo"
LOOKS_EVERY_S: Final = 0.5
STARTS_WITHIN_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where the room is, and how many processes answer.

    Attributes:
        home: Folder of the store, the heads of its audit chain and the key of cookies.
        site: dashboard.toml, None for the defaults.
        address: That the server listens on.
        port: Of the first process; the others take the next ones.
        processes: Behind a proxy that sends a person always to the same one (docs/dashboard.md).
        demo: Simulated cases, and one person with every role who needs no password.
        invite: A user who gets a new one-time link.
        monitor: Monitoring state, which hides answers; that of the run's folder where none is named.
    """

    home: Path
    site: Path | None = None
    address: str = "127.0.0.1"
    port: int = 8501
    processes: int = 1
    demo: bool = False
    invite: str = ""
    monitor: Path | None = None


def serve_dashboard(run: Path, place: Place, say: Say) -> int:
    """Serve until interrupted; returns the exit code of the first process that ended.

    Raises:
        ArtifactError: If it is not a run folder, or the monitoring state is of another model.
        UsageError: If a demo is asked for of a run that is not simulated.
        TaskError: If dashboard.toml is wrong.
        InputError: If the store cannot be used.
    """
    opened = open_run(run)
    if place.monitor is not None:
        read_state(place.monitor, opened.info.model.hash)
    if place.demo and not opened.info.simulated:
        raise UsageError("A demo asks for no password; this run is not simulated", str(run), "Leave out --demo")
    store = _store(place, read_site(place.site))
    taking_in = TakingIn(run, place.home.resolve(), store, place.monitor, say)
    taking_in.take()
    token = _link_for(store, place)
    try:
        with _processes(run, place) as running:
            _wait(running, place)
            _tell(say, place, token)
            return _until_one_ends(running, taking_in)
    except KeyboardInterrupt:
        return 0


def _store(place: Place, site: SiteSettings) -> Store:
    """The store in its folder, which is open to nobody else."""
    place.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    url = site.store or f"sqlite:///{place.home.resolve() / 'store.sqlite'}"
    return open_store(url, heads=site.heads or place.home.resolve() / "heads")


def _link_for(store: Store, place: Place) -> str:
    """The token of a one-time link: for whom it was asked, for the demo's person, or for the first of a new room."""
    now = datetime.now(UTC)
    if place.demo:
        found = store.users.by_name(DEMO_NAME) or store.users.add(DEMO_NAME, ROLES, now=now)
    elif place.invite:
        known = store.users.by_name(place.invite)
        if known is None:
            raise UsageError("There is no such user", place.invite, "An administrator adds users on the page Users")
        found = known
    elif store.users.all():
        return ""
    else:
        found = store.users.add(getpass.getuser(), ROLES, now=now)
    return store.users.invite(found.id, now=now)


@contextmanager
def _processes(run: Path, place: Place) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The server processes, as long as they are needed."""
    named = {
        "CLINIC_MM_RUN": str(run.resolve()),
        "CLINIC_MM_HOME": str(place.home.resolve()),
        "CLINIC_MM_SITE": "" if place.site is None else str(place.site.resolve()),
        "CLINIC_MM_DEMO": "1" if place.demo else "",
        "CLINIC_MM_MONITOR": "" if place.monitor is None else str(place.monitor.resolve()),
    }
    command = [sys.executable, str(folder("dashboards") / "server.py"), "--address", place.address, "--port"]
    running = [
        subprocess.Popen([*command, str(place.port + at)], env={**os.environ, **named})  # noqa: S603 - our own command
        for at in range(place.processes)
    ]
    before = signal.signal(signal.SIGTERM, _asked_to_stop)
    try:
        yield running
    finally:
        signal.signal(signal.SIGTERM, before)
        for one in running:
            one.terminate()
        for one in running:
            try:
                one.wait(10)
            except subprocess.TimeoutExpired:
                one.kill()


def _asked_to_stop(number: int, _frame: object) -> None:
    """Systemd and `kill` ask the parent alone: the servers must not outlive it."""
    raise SystemExit(128 + number)


def _wait(running: list[subprocess.Popen[bytes]], place: Place) -> None:
    """Until every process answers, or one has given up."""
    until = time.monotonic() + STARTS_WITHIN_S
    for at in range(len(running)):
        while time.monotonic() < until and all(one.poll() is None for one in running):
            with socket.socket() as probe:
                if probe.connect_ex((_reached_at(place.address), place.port + at)) == 0:
                    break
            time.sleep(LOOKS_EVERY_S)


def _reached_at(address: str) -> str:
    return "127.0.0.1" if address in {"0.0.0.0", "localhost"} else address  # noqa: S104 - compared, not bound


def _tell(say: Say, place: Place, token: str) -> None:
    address = f"http://{_reached_at(place.address)}:{place.port}"
    say(f"Reading room: {address}")
    if token:
        say(f"First login, good once: {address}/first-login#{token}")
    say(f"What people do here is kept in {place.home}. Stop with Ctrl-C.")


def _until_one_ends(running: list[subprocess.Popen[bytes]], taking_in: TakingIn) -> int:
    """Take in what a screening finishes, also one that begins again later, until a process ends."""
    while True:
        for one in running:
            code = one.poll()
            if code is not None:
                return code
        taking_in.look_now_and_then()
        time.sleep(LOOKS_EVERY_S)
