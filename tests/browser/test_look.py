"""Dark first, at the first drawing of a browser that was never here; what a reader chooses holds on all pages."""

import re

import pytest
from playwright.sync_api import Page, Request

from tests.browser.readings import opened, reader
from tests.browser.test_access import GROUND, GROUNDS
from tests.serving import Address

DARKEST = 40
"""Streamlit draws in its own dark until the page says which: no part of it is lighter."""
pytestmark = pytest.mark.browser
KEPT = """() => {
  window.seen = new Set();
  const look = () => {
    const app = document.querySelector(".stApp");
    if (app) window.seen.add(getComputedStyle(app).backgroundColor);
    requestAnimationFrame(look);
  };
  look();
}"""


def documents_of(page: Page) -> list[str]:
    """The documents that a page asks for from now on."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if request.resource_type == "document":
            asked.append(request.url)

    page.on("request", note)
    return asked


def test_a_new_browser_is_dark_from_the_first_drawing_and_keeps_what_is_chosen(served: Address) -> None:
    with reader(served, width=1280, height=800, computer="light") as page:
        page.add_init_script(f"({KEPT})()")
        asked = documents_of(page)
        opened(page, served)
        grounds = page.evaluate("[...window.seen]")
        assert grounds[-1] == GROUNDS["dark"]
        assert max(int(part) for ground in grounds for part in re.findall(r"\d+", ground)) < DARKEST, grounds
        assert len(asked) == 1, "nothing is loaded a second time"
        page.get_by_test_id("stMainMenu").get_by_role("button").click()
        page.get_by_role("menuitemradio", name="Light").click()
        page.wait_for_function(f"() => ({GROUND})() === '{GROUNDS['light']}'")
        page.keyboard.press("Escape")
        opened(page, f"{served}/about")  # tells all pages what was chosen at the one before
        opened(page, f"{served}/")
        assert page.evaluate("[...window.seen]") == [GROUNDS["light"]]
