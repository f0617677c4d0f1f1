"""`clinic-mm dashboard`, as it is typed: address, one-time link, what it refuses, how it ends."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clinic_mm.errors import UsageError
from clinic_mm.jobs.serve import Place, serve_dashboard
from clinic_mm.report.run import open_run, write_run
from tests.dashboards.conftest import made_run as made_run

LINK = re.compile(r"http://127\.0\.0\.1:(\d+)/first-login#([\w-]{40,})")


HERE = (sys.executable, "-m", "clinic_mm.cli")
"""The command of this checkout."""


def started(
    run: Path, home: Path, end: signal.Signals = signal.SIGINT, program: tuple[str, ...] = HERE
) -> tuple[int, str]:
    """Start the command, sign in by its link if it prints one, end it; its exit code and what it said."""
    port = str(18_000 + os.getpid() % 1000)
    command = [*program, "dashboard", str(run), "--home", str(home), "--port", port]
    served = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})  # noqa: S603
    assert served.stdout is not None
    said = ""
    until = time.monotonic() + 240
    while "Ctrl-C" not in said and served.poll() is None and time.monotonic() < until:
        said += served.stdout.readline()
    found = LINK.search(said)
    if found:
        said += f"\nentered {entered(int(found[1]), found[2])}"
    served.send_signal(end)
    served.stdout.close()
    code = served.wait(60)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(port))) != 0, "a server outlived the command"
    return code, said


def entered(port: int, token: str) -> int:
    """What the first-login form answers to this token."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    body = f"token={token}&password=a+password+of+length&again=a+password+of+length"
    connection.request("POST", "/first-login", body, {"Origin": f"http://127.0.0.1:{port}"})
    status = connection.getresponse().status
    connection.close()
    return status


def test_the_first_start_prints_a_link_that_lets_in_and_the_second_prints_none(made_run: Path, tmp_path: Path) -> None:
    code, said = started(made_run, tmp_path / "room")
    assert code in {0, 130}
    assert "entered 303" in said
    assert (tmp_path / "room").stat().st_mode & 0o077 == 0
    code, said = started(made_run, tmp_path / "room", signal.SIGTERM)
    assert code == 128 + signal.SIGTERM
    assert "Reading room: http://127.0.0.1:" in said
    assert "first-login" not in said


def test_a_demo_of_a_run_that_is_not_simulated_is_refused(made_run: Path, tmp_path: Path) -> None:
    info = open_run(made_run).info
    write_run(info.model_copy(update={"simulated": False}), tmp_path)
    with pytest.raises(UsageError, match="not simulated"):
        serve_dashboard(tmp_path, Place(tmp_path / "room", demo=True), print)


def test_nobody_is_invited_whom_nobody_knows(made_run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such user"):
        serve_dashboard(made_run, Place(tmp_path / "room", invite="nobody"), print)
