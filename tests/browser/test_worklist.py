"""The work list in a browser: a table to a screen reader, walked by keys, alive, and with nothing run of a name."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from clinic_mm.store.store import open_store
from tests.browser.conftest import CHROMIUM
from tests.serving import Address

WAIT_MS = 120_000
HOSTILE = "<img src=x onerror=window.ran=1>"
ACTIVE = (
    "() => { let one = document.activeElement; while (one.shadowRoot) one = one.shadowRoot.activeElement; return one; }"
)
pytestmark = pytest.mark.browser


@pytest.fixture
def page(served: Address) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        found = browser.new_page(viewport={"width": 1440, "height": 1000})
        found.context.add_cookies([served.cookie])
        found.set_default_timeout(WAIT_MS)
        found.goto(served)
        yield found
        browser.close()


def focused(page: Page) -> str:
    found: str = page.evaluate(f"({ACTIVE})().closest('[role=row]').getAttribute('aria-rowindex')")
    return found


def test_the_list_is_a_table_that_keys_walk_and_that_tells_who_reads(served: Address, page: Page) -> None:
    grid = page.get_by_role("grid", name=re.compile("Work list, most urgent first"))
    expect(grid).to_be_visible()
    rows = grid.get_by_role("row")
    assert grid.get_attribute("aria-rowcount") == str(rows.count())
    expect(grid.get_by_role("columnheader", name="Urgency")).to_have_attribute("aria-sort", "other")
    expect(grid.get_by_role("columnheader", name="Waits")).to_have_attribute("aria-sort", "none")
    links = grid.get_by_role("rowheader").get_by_role("link")
    keys = links.all_inner_texts()
    assert len(keys) == rows.count() - 1
    assert grid.locator('[tabindex="0"]').count() == 1
    expect(grid.locator("td.picture img").first).to_be_visible()

    links.nth(0).focus()
    page.keyboard.press("ArrowDown")
    assert focused(page) == "3"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(f"({ACTIVE})().tagName") == "A"
    page.keyboard.press("Control+End")
    assert focused(page) == str(rows.count())
    page.keyboard.press("Control+Home")

    with open_store(f"sqlite:///{served.home / 'store.sqlite'}", heads=served.home / "heads") as store:
        reader = store.users.by_name(HOSTILE) or store.users.add(HOSTILE, ["reader"])
        store.begin(keys[1], reader.id)
        expect(rows.nth(2)).to_contain_text(f"Being read by {HOSTILE} since")  # by itself, without a full rerun
        store.release(keys[1], reader.id)
    assert focused(page) == "2", "what came anew has taken the focus from nobody"
    assert page.evaluate("window.ran") is None

    grid.get_by_role("columnheader", name="Waits").get_by_role("button").click()
    longest = page.get_by_role("grid", name=re.compile("Work list, longest waiting first"))
    expect(longest.get_by_role("columnheader", name="Waits")).to_have_attribute("aria-sort", "descending")
    opened = longest.get_by_role("rowheader").get_by_role("link").nth(1)
    expect(opened).to_be_visible()
    key = opened.inner_text()
    opened.focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/case?case={key}")
