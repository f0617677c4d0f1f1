"""Run functions of the viewers' ES modules in Node, without a browser: numbers in, numbers out."""

import json
import shutil
import subprocess
from typing import Any

import pytest

from clinic_mm.bundle import folder

CANVAS = folder("dashboards") / "components" / "canvas"
NODE = shutil.which("node")
SECONDS = 60


def run(module: str, expression: str, **given: Any) -> Any:  # noqa: ANN401 - whatever the expression gives
    """Evaluate an expression with a module of the canvas folder as `m` and the keyword arguments by their names.

    Arrays go in as lists; what comes out has passed through JSON, where a number that is none is null.
    """
    if NODE is None:
        pytest.skip("no node: apt-get install nodejs")
    program = (
        "import { readFileSync } from 'node:fs';\n"
        "const given = JSON.parse(readFileSync(0, 'utf8'));\n"
        "const text = given.text;\n"
        "const m = await import('data:text/javascript;base64,' + Buffer.from(text).toString('base64'));\n"
        f"const {{ {', '.join(given) or '_'} }} = given.values;\n"
        "const out = (x) => ArrayBuffer.isView(x) ? Array.from(x) : x;\n"
        f"process.stdout.write(JSON.stringify(({expression}), (_, value) => out(value)));\n"
    )
    text = (CANVAS / module).read_text(encoding="utf-8")
    done = subprocess.run(  # noqa: S603 - our own program
        [NODE, "--input-type=module", "-e", program],
        input=json.dumps({"text": text, "values": given}).encode(),
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return json.loads(done.stdout)
