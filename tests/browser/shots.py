"""Take the pictures of the docs from a finished run: `python -m tests.browser.shots demo/run docs/figures`.

Needs Debian's chromium. The run should be the demo's: pictures in the docs show simulated cases only.
"""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from clinic_mm.bundle import folder
from clinic_mm.errors import UsageError
from clinic_mm.report.run import open_run

CHROMIUM = Path("/usr/bin/chromium")
WAIT_S = 30


def take(run: Path, out: Path) -> None:
    """Work list, the case with the most evidence, and the page about the run, as PNG."""
    opened = open_run(run)
    if not opened.info.simulated:
        raise UsageError("Pictures in the docs show simulated cases only", str(run), "Name the demo's run")
    work = opened.worklist()
    widest = work["pattern"].str.count(r"\+").max()
    case = work.loc[work["pattern"].str.count(r"\+") == widest, "case_key"].iloc[0]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = str(folder("dashboards") / "app.py")
    command = [sys.executable, "-m", "streamlit", "run", app, f"--server.port={port}", "--server.address=127.0.0.1"]
    server = subprocess.Popen(command, env={**os.environ, "CLINIC_MM_RUN": str(run.resolve())})  # noqa: S603 - ours
    try:
        _wait(port)
        _photograph(f"http://127.0.0.1:{port}", case, out)
    finally:
        server.terminate()
        server.wait(10)


def _photograph(address: str, case: str, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    pages = {"worklist": ("", 900), "case": (f"case?case={case}", 1500), "about": ("about", 1100)}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        for name, (path, height) in pages.items():
            page = browser.new_page(viewport={"width": 1440, "height": height})
            page.goto(f"{address}/{path}")
            page.wait_for_timeout(9000)
            page.screenshot(path=str(out / f"dashboard_{name}.png"))
        browser.close()


def _wait(port: int) -> None:
    for _ in range(WAIT_S * 4):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.25)


if __name__ == "__main__":
    take(Path(sys.argv[1]), Path(sys.argv[2]))
