"""Start the dashboard of a run: Streamlit in a process of its own, on the loopback address only."""

import os
import subprocess
import sys
from pathlib import Path

from clinic_mm.bundle import folder
from clinic_mm.evaluate.monitor.state import read_state
from clinic_mm.report.run import open_run


def serve_dashboard(run: Path, port: int, monitor: Path | None = None) -> int:
    """Serve until interrupted; returns the exit code of the server.

    Args:
        run: Run folder.
        port: Of the loopback address.
        monitor: Monitoring state, which hides answers; that of the run's folder where none is named.

    Raises:
        ArtifactError: If it is not a run folder, or the state is of another model.
    """
    opened = open_run(run)
    if monitor is not None:
        read_state(monitor, opened.info.model.hash)
    command = [
        *(sys.executable, "-m", "streamlit", "run", str(folder("dashboards") / "app.py")),
        *("--server.address", "127.0.0.1", "--server.port", str(port)),
        *("--browser.gatherUsageStats", "false"),
    ]
    watched = {} if monitor is None else {"CLINIC_MM_MONITOR": str(monitor.resolve())}
    environment = {**os.environ, "CLINIC_MM_RUN": str(run.resolve()), **watched}
    try:
        return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 - our own command
    except KeyboardInterrupt:
        return 0
