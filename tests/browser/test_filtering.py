"""The work list is filtered by keys: afterwards keys are keys again, and act on the lines that came. SIMULATED."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.readings import WAIT_MS, opened, reader
from tests.serving import Address

pytestmark = pytest.mark.browser


@pytest.fixture
def page(served: Address) -> Iterator[Page]:
    with reader(served, width=1280, height=800) as found:
        opened(found, served)
        yield found


def last_case(page: Page) -> str:
    links: Locator = page.get_by_role("grid").get_by_role("rowheader").get_by_role("link")
    expect(links.first).to_be_visible(timeout=WAIT_MS)
    return links.last.inner_text()


def searched(page: Page, key: str) -> None:
    page.keyboard.press("/")
    page.keyboard.type(key)
    page.keyboard.press("Enter")


def test_keys_are_keys_again_once_the_list_is_filtered(page: Page) -> None:
    key, panel = last_case(page), page.get_by_role("dialog", name="Keys and mouse")
    searched(page, key)
    page.keyboard.press("?")
    expect(panel).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("row")).to_have_count(2, timeout=WAIT_MS)
    page.get_by_role("combobox", name="Order").click()
    page.get_by_role("option", name="Waiting longest").click()
    expect(page.get_by_role("grid", name=re.compile("longest waiting"))).to_be_visible(timeout=WAIT_MS)
    page.keyboard.press("?")
    expect(panel).to_be_visible()
    expect(page.locator(".st-key-list-search input")).to_have_value(key)


def test_a_number_means_a_line_of_the_filtered_list(page: Page) -> None:
    """It is pressed at once, while the lines of before still stand."""
    key = last_case(page)
    page.evaluate("() => (window.slowMs = 1000)")
    searched(page, key)
    page.keyboard.press("1")
    page.wait_for_url(f"**/case?case={key}")
