"""A case is read and signed by keyboard alone, from the list to the signature, in a real browser. SIMULATED."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.conftest import CHROMIUM
from tests.dashboards.test_pages import answered
from tests.serving import serving

WAIT_MS = 120_000
STANDS = "() => document.querySelector('[data-test-script-state=notRunning]')"
pytestmark = pytest.mark.browser


@pytest.mark.long
def test_a_case_is_read_and_signed_by_keys_alone(made_run: Path, tmp_path: Path) -> None:
    if not CHROMIUM.is_file():
        pytest.skip("no /usr/bin/chromium: apt-get install chromium")
    with serving(made_run, tmp_path / "room", tmp_path / "log") as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 1500})
        page.context.add_cookies([address.cookie])
        page.set_default_timeout(WAIT_MS)
        page.goto(address)
        expect(page.get_by_role("grid")).to_be_visible(timeout=WAIT_MS)
        expect(page.locator(".st-key-list-next button")).to_be_visible(timeout=WAIT_MS)
        page.wait_for_timeout(2000)
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keys and mouse")).to_be_visible(timeout=WAIT_MS)
        page.keyboard.press("Escape")
        page.keyboard.press("1")
        page.wait_for_url(re.compile("case="))
        page.goto(f"{address}/case?case={answered(made_run).case_key}")
        pressed(page, "b", "Begin to read", "Your opinion first")
        assert "prediction set" not in page.content()
        picked(page, "2", "verdict", 1)
        picked(page, "8", "sure", 2)
        pressed(page, "o", "Commit my opinion", "Your first opinion")
        pressed(page, "a", "Accept: ", "Decided: ")
        pressed(page, "s", "Sign: ", "Signed: ")
        browser.close()


def pressed(page: Page, key: str, button: str, then: str) -> None:
    """Press a key once its button stands, and wait for what it leads to."""
    expect(page.get_by_role("button", name=re.compile(button))).to_be_visible(timeout=WAIT_MS)
    page.wait_for_function(STANDS)
    page.keyboard.press(key)
    expect(page.get_by_text(then).first).to_be_visible(timeout=WAIT_MS)


def picked(page: Page, key: str, group: str, place: int) -> None:
    """Press a key until its choice stands: while a page is still being drawn, the drawing takes it back."""
    choice = page.locator(f".st-key-pick-{group} input").nth(place)
    for _ in range(20):
        page.wait_for_function(STANDS)
        page.keyboard.press(key)
        page.wait_for_timeout(2000)
        if choice.is_checked():
            return
    expect(choice).to_be_checked()
