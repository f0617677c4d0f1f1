"""A wheel built from the checkout and installed into an empty environment does all that a checkout does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.jobs.test_serve import started

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.long, pytest.mark.timeout(3000)]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment with nothing but the wheel and what it needs; needs the package registry."""
    at = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", str(at), str(ROOT))
    run(sys.executable, "-m", "venv", str(at / "venv"))
    wheel = next(at.glob("*.whl"))
    constraints = str(ROOT / "constraints.txt")
    run(str(at / "venv/bin/pip"), "install", "-q", "-c", constraints, "torch==2.13.0", str(wheel))
    return at


def run(*command: str, **more: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own command
        command, check=False, capture_output=True, text=True, cwd=more.get("cwd"), env={**os.environ, "PYTHONPATH": ""}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_demo_runs_and_its_dashboard_answers(installed: Path) -> None:
    command = str(installed / "venv/bin/clinic-mm")
    told = run(command, "demo", "--out", "demo", "--cases", "120", cwd=str(installed))
    assert "known limit" in told
    assert "0 failed" in told
    code, said = started(installed / "demo/run", installed / "room", program=(command,))
    assert code in {0, 130}
    assert "entered 303" in said, "nobody could sign in by the link that it printed"
