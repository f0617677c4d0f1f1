"""What axe-core finds on a page: serious and critical only, without what is Streamlit's own and listed here.

In:  a page in a browser. Out: findings in words, one for each place.

The rules are Deque's axe-core 4 (WCAG 2.2 A and AA, best practices), as the package axe-playwright-python brings it.
"""

from typing import Any, Final

import pytest
from playwright.sync_api import Page

HEAVY: Final = {"serious", "critical"}
STREAMLIT: Final[dict[tuple[str, str], str]] = {}
"""Rule and part of the place: why it is not ours to mend."""


def findings(page: Page) -> list[str]:
    """`rule (impact): place`, of all that is ours."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-core: pip install clinic-mm[dev]")
    response: dict[str, Any] = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response
    return [
        f"{one['id']} ({one['impact']}): {_place(node)} {node['html'][:120]} {_why(node)}"
        for one in response["violations"]
        if one["impact"] in HEAVY
        for node in one["nodes"]
        if not any(one["id"] == rule and part in _place(node) for rule, part in STREAMLIT)
    ]


def _place(node: dict[str, Any]) -> str:
    return " ".join(str(part) for part in node["target"])


def _why(node: dict[str, Any]) -> str:
    return "; ".join(check["message"] for check in [*node["any"], *node["all"]])[:200]
