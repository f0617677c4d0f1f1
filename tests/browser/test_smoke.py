import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from clinic_mm.report.run import open_run
from tests.browser.conftest import CHROMIUM
from tests.serving import Address

SHOTS = os.environ.get("CLINIC_MM_SHOTS", "")
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser_page(served: Address) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 4300})
        page.context.add_cookies([served.cookie])
        page.set_default_timeout(30_000)
        yield page
        browser.close()


def calm(page: Page, name: str) -> None:
    """Nothing on the page is an exception or an error box; every image has arrived."""
    expect(page.get_by_test_id("stException")).to_have_count(0)
    assert "Traceback" not in page.inner_text("body")
    if SHOTS:
        page.wait_for_timeout(2500)
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"))


def test_a_reader_goes_from_the_worklist_to_a_case(served: str, browser_page: Page, made_run: Path) -> None:
    page = browser_page
    page.goto(served)
    expect(page.get_by_text("SIMULATED COHORT")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("grid")).to_be_visible(timeout=30_000)
    calm(page, "worklist")
    page.get_by_role("grid").get_by_role("link").first.click()
    page.wait_for_url("**/case?case=*")
    expect(page.get_by_text("Reading ·")).to_be_visible(timeout=30_000)
    frame = open_run(made_run).worklist()  # who has no answer stands first
    page.goto(f"{served}/case?case={frame.loc[frame['abstained'] == '', 'case_key'].iloc[0]}")
    expect(page.get_by_text("What the answer rests on")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("Patient record").first).to_be_visible(timeout=30_000)
    calm(page, "case")


def test_a_deep_link_opens_a_case_with_its_images(served: str, browser_page: Page, made_run: Path) -> None:
    frame = open_run(made_run).worklist()
    most = frame.loc[(frame["abstained"] == "") & (frame["pattern"].str.len().idxmax() == frame.index), "case_key"]
    key = most.iloc[0] if len(most) else frame["case_key"].iloc[0]
    browser_page.goto(f"{served}/case?case={key}")
    shown = browser_page.get_by_text("negative up").or_(browser_page.get_by_text("facts"))
    expect(shown.filter(visible=True).first).to_be_visible(timeout=30_000)  # the panel of keys speaks of them too
    calm(browser_page, "deep_link")


def test_the_about_page_opens(served: str, browser_page: Page) -> None:
    browser_page.goto(f"{served}/about")
    expect(browser_page.get_by_text("How to read the pages")).to_be_visible(timeout=30_000)
    calm(browser_page, "about")


def test_the_page_of_operators_opens_and_names_nothing_of_this_machine(served: str, browser_page: Page) -> None:
    browser_page.goto(f"{served}/operations")
    expect(browser_page.get_by_text("The audit was never verified here")).to_be_visible(timeout=30_000)
    assert "/" not in browser_page.title()
    calm(browser_page, "operations")
