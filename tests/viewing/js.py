"""Call functions of the viewers' ES modules from tests, by node."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from clinic_mm.bundle import folder

RUNNER = Path(__file__).with_name("laws.mjs")


def called(*calls: tuple[str, str, list[Any]]) -> list[Any]:
    """The answers of (module, function, arguments), in one start of node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node: apt-get install nodejs")
    asked = json.dumps([{"module": module, "name": name, "args": args} for module, name, args in calls])
    command = [node, "--no-warnings", "--experimental-default-type=module", str(RUNNER)]
    canvas = str(folder("dashboards") / "components" / "canvas")
    done = subprocess.run([*command, canvas], input=asked, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found
