"""What pages are made of is there before the first of them, and no click of a reader goes through it again."""

import ast
import json
import subprocess
import sys
from pathlib import Path

from clinic_mm.bundle import folder

READING = ("worklist.py", "case.py")
STARTED = """
import asyncio, gc, json, sys
sys.path.insert(0, sys.argv[1])
import server
app = server.app()
async def start():
    async with app._user_lifespan(app):
        pass
asyncio.run(start())
frozen, left = gc.get_freeze_count(), len(gc.get_objects())
print(json.dumps({"frozen": frozen, "left": left, "modules": list(sys.modules)}))
"""


def test_pages_find_their_parts_imported_and_the_garbage_collector_passes_over_them() -> None:
    dashboards = folder("dashboards")
    ran = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", STARTED, str(dashboards)], capture_output=True, text=True, check=True
    )
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["left"] < 0.02 * told["frozen"]
    wanted = {name for page in READING for name in _imported(dashboards / "views" / page)}
    assert wanted >= {"components.tiles", "components.listing"}
    assert wanted <= set(told["modules"])


def _imported(page: Path) -> set[str]:
    nodes = ast.walk(ast.parse(page.read_text(encoding="utf-8")))
    return {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
