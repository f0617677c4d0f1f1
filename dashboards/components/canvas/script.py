"""Make one script of the ES modules of a viewer, as Streamlit's components take it: one string, no build, no npm.

In:  the name of a module in this folder. Out: its text with all that it imports before it, each module once.

Modules here import by `import { a, b } from "./name.js";` and export by `export` before a declaration, nothing else:
so a test can run each alone. All names at the top of the modules of one viewer differ, since they end up side by side.
"""

import re
from functools import cache
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
IMPORT: Final = re.compile(r'^import \{[^}]*\} from "\./([a-z_]+\.js)";\n', re.MULTILINE)
EXPORT: Final = re.compile(r"^export (?!default)", re.MULTILINE)


@cache
def script(name: str) -> str:
    """One module with what it imports, as one module without imports. Only `export default` stays an export."""
    return "\n".join(EXPORT.sub("", IMPORT.sub("", text(part))) for part in _in_order(name, ()))


@cache
def text(name: str) -> str:
    """One file of this folder as it is."""
    return (HERE / name).read_text(encoding="utf-8")


def _in_order(name: str, seen: tuple[str, ...]) -> tuple[str, ...]:
    if name in seen:
        return seen
    for deeper in IMPORT.findall(text(name)):
        seen = _in_order(deeper, seen)
    return (*seen, name)
