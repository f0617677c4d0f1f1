"""Call functions of the viewers' ES modules from tests, by node."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from clinic_mm.bundle import folder

CANVAS = folder("dashboards") / "components" / "canvas"
RUNNER = Path(__file__).with_name("laws.mjs")


Call = tuple[str, str, list[Any]]


def call(module: str, name: str, *args: object) -> dict[str, Any]:
    """A call as an argument of another one: all of them run in one start of node."""
    return {"call": {"module": module, "name": name, "args": list(args)}}


def called(*calls: Call) -> list[Any]:
    """The answers of (module, function, arguments), in one start of node."""
    asked = [{"module": module, "name": name, "args": args} for module, name, args in calls]
    found: list[Any] = _node(str(RUNNER), str(CANVAS), given=asked)
    return found


def run(script: str, given: object) -> Any:  # noqa: ANN401 - whatever the script gives out
    """What a script gives out by `output(...)`; it has `input`, and imports modules as those beside it do."""
    whole = re.sub(r'"\./([a-z_]+)\.js"', lambda m: json.dumps((CANVAS / f"{m[1]}.js").as_uri()), script)
    frame = 'import { readFileSync } from "node:fs";\nconst input = JSON.parse(readFileSync(0, "utf8"));\n'
    out = "const output = (found) => process.stdout.write(JSON.stringify(found));\n"
    return _node("--input-type=module", "-e", frame + out + whole, given=given)


def evaluated(module: str, expression: str, **given: object) -> Any:  # noqa: ANN401 - whatever the expression gives
    """The value of an expression over a module, named `m`, and what is given; typed arrays as lists, NaN as None."""
    names = f"const {{ {', '.join(given)} }} = input;\n" if given else ""
    plain = "const plain = (_, value) => (ArrayBuffer.isView(value) ? Array.from(value) : value);\n"
    value = f"output(JSON.parse(JSON.stringify({expression}, plain)));\n"
    return run(f'import * as m from "./{module}.js";\n{names}{plain}{value}', given)


def _node(*arguments: str, given: object) -> Any:  # noqa: ANN401
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node: apt-get install nodejs")
    command = [node, "--no-warnings", "--experimental-default-type=module", *arguments]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
