"""Start the dashboard of a run: Streamlit in a process of its own, on the loopback address only."""

import os
import subprocess
import sys
from pathlib import Path

from clinic_mm.bundle import folder
from clinic_mm.report.run import open_run


def serve_dashboard(run: Path, port: int) -> int:
    """Serve until interrupted; returns the exit code of the server.

    Raises:
        ArtifactError: If it is not a run folder.
    """
    open_run(run)
    command = [
        *(sys.executable, "-m", "streamlit", "run", str(folder("dashboards") / "app.py")),
        *("--server.address", "127.0.0.1", "--server.port", str(port)),
        *("--browser.gatherUsageStats", "false"),
    ]
    environment = {**os.environ, "CLINIC_MM_RUN": str(run.resolve())}
    try:
        return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 - our own command
    except KeyboardInterrupt:
        return 0
