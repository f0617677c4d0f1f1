"""A running dashboard and Debian's chromium; the run is the one of tests/dashboards."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clinic_mm.bundle import folder
from tests.dashboards.conftest import made_run as made_run  # the same run for both

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="session")
def served(made_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the dashboard, started as `clinic-mm dashboard` starts it."""
    if not CHROMIUM.is_file():
        pytest.skip("no /usr/bin/chromium: apt-get install chromium")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(folder("dashboards") / "app.py"), f"--server.port={port}"]
    log = (tmp_path_factory.mktemp("served") / "log").open("wb")
    server = subprocess.Popen(  # noqa: S603 - our own command
        command, env={**os.environ, "CLINIC_MM_RUN": str(made_run)}, stdout=log, stderr=log
    )
    try:
        _wait(port, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)
        log.close()


def _wait(port: int, server: "subprocess.Popen[bytes]") -> None:
    for _ in range(120):
        assert server.poll() is None, "the dashboard ended at once"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.25)
    pytest.fail("the dashboard did not start within 30 s")
