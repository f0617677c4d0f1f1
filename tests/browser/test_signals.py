"""EEG, timeline and notes in a real browser: pages by keys, one time cursor for all, hostile text that stays text."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from clinic_mm.report.run import open_run
from tests.browser.conftest import CHROMIUM
from tests.browser.test_smoke import calm
from tests.serving import Address

pytestmark = pytest.mark.browser
TENTH_S = 100.0
SLOW = 10
"""Other work may share the cores of a test; the figure on idle ones is in docs/performance.md."""
PAGE = "canvas.eeg-page"


@pytest.fixture(scope="module")
def case(served: Address, made_run: Path) -> Iterator[Page]:
    """The page of a case with EEG and record, its viewers open."""
    key = next(one.case_key for one in open_run(made_run).predictions() if {"eeg", "record"} <= set(one.pattern))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 4300})
        page.context.add_cookies([served.cookie])
        page.set_default_timeout(60_000)
        page.goto(f"{served}/case?case={key}")
        page.locator(".viewer[data-surveyed=yes]").wait_for()
        page.locator("canvas.timeline").wait_for()
        yield page
        browser.close()


def told(page: Page, name: str) -> str:
    return str(page.locator(f".viewer:has({PAGE})").get_attribute(f"data-{name}"))


def test_pages_turn_by_keys_within_a_tenth_of_a_second(case: Page) -> None:
    case.locator(PAGE).focus()
    took = []
    for start in ("10.000", "20.000", "22.000"):  # 32 s in all
        case.keyboard.press("ArrowRight")
        case.locator(f".viewer[data-page='{start}']").wait_for()
        took.append(float(told(case, "ms")))
    assert sorted(took)[1] < SLOW * TENTH_S
    case.keyboard.press("Home")
    case.locator(".viewer[data-page='0.000']").wait_for()
    calm(case, "eeg")


def test_choices_are_said_beside_the_traces_and_kept_in_this_browser(case: Page) -> None:
    status = case.locator(".eeg-status")
    expect(status).to_contain_text("Double banana · 7 µV/mm")
    expect(status).to_contain_text("not measured")
    case.locator(PAGE).focus()
    for key in ("m", "ArrowUp", "z", "p"):
        case.keyboard.press(key)
    expect(status).to_contain_text("Transverse · 5 µV/mm")
    expect(status).to_contain_text("6 and 12 dB per octave")
    expect(status).to_contain_text("positive up")
    assert "transverse" in case.evaluate("localStorage.getItem('clinic_mm.eeg')")


def test_a_ruler_makes_a_millimetre_a_millimetre(case: Page) -> None:
    case.locator(PAGE).focus()
    case.keyboard.press("k")
    for _ in range(5):
        case.keyboard.press("Shift+ArrowRight")
    case.get_by_role("button", name="It is 10 cm: keep").click()
    expect(case.locator(".eeg-status")).not_to_contain_text("not measured")
    kept = case.evaluate("JSON.parse(localStorage.getItem('clinic_mm.px_per_mm')).pxPerMm")
    assert kept == pytest.approx((96 / 25.4 * 100 + 50) / 100)


def test_one_time_cursor_for_the_record_and_the_eeg(case: Page) -> None:
    case.evaluate("window.heard = []; window.addEventListener('clinic-mm:cursor', (e) => window.heard.push(e.detail))")
    case.locator(PAGE).click(position={"x": 400, "y": 120})
    (first,) = case.evaluate("window.heard")
    case.locator("canvas.timeline").focus()
    case.keyboard.press("End")
    second = case.evaluate("window.heard")[-1]
    assert first["scope"] == second["scope"]
    assert first["from"].startswith("eeg")
    assert second["from"].startswith("timeline")
    expect(case.locator(".timeline-said")).to_contain_text("before the decision")


def test_every_fact_is_reached_by_keys_and_said(case: Page) -> None:
    case.locator("canvas.timeline").focus()
    case.keyboard.press("Home")
    said = {case.locator(".timeline-said").inner_text()}
    for _ in range(3):
        case.keyboard.press("ArrowDown")
        said.add(case.locator(".timeline-said").inner_text())
    assert len(said) == 4
    assert all("UTC" in one for one in said)


def test_the_keys_are_shown_and_put_away(case: Page) -> None:
    case.locator(PAGE).focus()
    case.keyboard.press("?")
    panel = case.locator(f".viewer:has({PAGE}) .help")
    expect(panel).to_be_visible()
    expect(panel).to_contain_text("Next montage")
    case.keyboard.press("Escape")
    expect(panel).to_be_hidden()
