"""The door in a real browser: one-time link, sign-in, the policy of every page, the way out."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from clinic_mm.bundle import policy
from clinic_mm.store.store import open_store
from tests.browser.conftest import CHROMIUM
from tests.serving import PASSWORD, Address

pytestmark = pytest.mark.browser
WAIT_MS = 120_000


@pytest.fixture
def page(served: Address) -> Iterator[Page]:
    """A browser that nobody has signed in."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(WAIT_MS)
        yield page
        browser.close()


def test_a_newcomer_enters_by_his_link_which_leaves_the_address_at_once(served: Address, page: Page) -> None:
    with open_store(f"sqlite:///{served.home / 'store.sqlite'}", heads=served.home / "heads") as store:
        token = store.users.invite(store.users.add("newcomer", ["viewer"]).id)
    page.goto(f"{served}/first-login#{token}")
    expect(page.get_by_label("Choose a password")).to_be_visible()
    assert token not in page.url
    expect(page.get_by_label("Token of the link")).to_be_hidden()
    page.keyboard.type(PASSWORD)  # the first field that is asked for has the keys
    page.get_by_label("The same again").fill(PASSWORD)
    page.get_by_role("button", name="Enter").click()
    expect(page.get_by_role("button", name="newcomer")).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_role("link", name="Users")).to_have_count(0)


@pytest.mark.long
def test_every_page_runs_under_its_policy_and_the_way_out_leads_to_the_door(served: Address, page: Page) -> None:
    broken: list[str] = []
    page.on("console", lambda said: broken.append(said.text) if "Content Security Policy" in said.text else None)
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.goto(f"{served}/about")
    page.get_by_label("Name").fill("test person")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/about")
    for path in policy("roles")["pages"]:
        page.goto(f"{served}/{path}")
        expect(page.get_by_role("button", name="test person")).to_be_visible(timeout=WAIT_MS)
        expect(page.locator("[data-test-script-state=notRunning]")).to_be_attached(timeout=WAIT_MS)
        expect(page.get_by_test_id("stException")).to_have_count(0)
    assert not broken
    page.get_by_role("button", name="test person").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    page.go_back()
    expect(page.get_by_role("button", name="test person")).to_have_count(0)
