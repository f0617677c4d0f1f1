"""EEG, timeline and notes in a real browser: pages by keys, one time cursor for all, hostile text that stays text."""

import re
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
RESTS_MS = 400
"""Longer than between two notches of one turn of the wheel."""
TURNED = """(element) => {
  const told = { deltaY: 10, ctrlKey: true, bubbles: true, cancelable: true, composed: true };
  const event = new WheelEvent("wheel", told);
  element.dispatchEvent(event);
  return event.defaultPrevented;
}"""


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


def test_the_wheel_turns_pages_gain_and_time_as_the_keymap_binds_it(case: Page) -> None:
    status = case.locator(".eeg-status")
    case.locator(PAGE).focus()
    case.keyboard.press("Home")
    case.locator(PAGE).hover(position={"x": 500, "y": 150})
    gain = status.inner_text().partition(" µV/mm")[0].rpartition(" ")[2]
    case.mouse.wheel(0, 120)
    case.locator(".viewer[data-page='10.000']").wait_for()
    case.mouse.wheel(0, -120)
    case.locator(".viewer[data-page='0.000']").wait_for()
    case.keyboard.down("Shift")
    case.mouse.wheel(0, -120)
    case.keyboard.up("Shift")
    expect(status).not_to_contain_text(f"· {gain} µV/mm")
    case.keyboard.press("ArrowDown")
    expect(status).to_contain_text(f"· {gain} µV/mm")  # the key of the same action takes it back
    case.keyboard.down("Control")
    case.mouse.wheel(0, -120)
    case.keyboard.up("Control")
    expect(case.get_by_role("combobox", name="Page", exact=True)).to_have_value("5")
    case.keyboard.press("Alt+ArrowDown")
    expect(case.get_by_role("combobox", name="Page", exact=True)).to_have_value("10")


def test_a_wheel_is_taken_on_the_traces_and_left_to_the_browser_beside_them(case: Page) -> None:
    case.wait_for_timeout(RESTS_MS)
    assert case.locator(PAGE).evaluate(TURNED)
    assert not case.locator(".eeg-status").evaluate(TURNED)
    assert not case.locator(f".viewer:has({PAGE}) .tools").evaluate(TURNED)


def test_a_wheel_that_scrolls_past_is_left_to_the_page_until_it_rests(case: Page) -> None:
    case.wait_for_timeout(RESTS_MS)
    assert not case.locator(".eeg-status").evaluate(TURNED)
    assert not case.locator(PAGE).evaluate(TURNED)
    case.wait_for_timeout(RESTS_MS)
    assert case.locator(PAGE).evaluate(TURNED)


def test_a_channel_is_marked_and_shown_alone_by_its_name_and_by_keys(case: Page) -> None:
    case.locator(PAGE).focus()
    case.keyboard.press("Home")
    every, status = told(case, "rows"), case.locator(".eeg-status")
    for words, rows in (("marked", every), ("alone", "1")):
        case.locator(PAGE).click(position={"x": 20, "y": 34})
        expect(status).to_contain_text(words)
        expect(case.locator(f".viewer:has({PAGE})")).to_have_attribute("data-rows", rows)
    marked = told(case, "marked")
    case.keyboard.press("Shift+ArrowDown")
    expect(case.locator(f".viewer:has({PAGE})")).not_to_have_attribute("data-marked", marked)
    assert told(case, "rows") == "1"
    case.keyboard.press("i")
    expect(case.locator(f".viewer:has({PAGE})")).to_have_attribute("data-rows", every)
    assert told(case, "marked") == ""


def test_a_drag_measures_time_and_voltage(case: Page) -> None:
    box = case.locator(PAGE).bounding_box()
    assert box is not None
    case.mouse.move(box["x"] + 300, box["y"] + 120)
    case.mouse.down()
    case.mouse.move(box["x"] + 400, box["y"] + 160, steps=3)
    case.mouse.up()
    expect(case.locator(f".viewer:has({PAGE}) .said")).to_have_text(re.compile(r"\d+ ms \(\d+\.\d Hz\) · \d+ µV"))


def test_the_keys_are_shown_and_put_away(case: Page) -> None:
    case.locator(PAGE).focus()
    case.keyboard.press("?")
    panel = case.locator(f".viewer:has({PAGE}) .help")
    expect(panel).to_be_visible()
    expect(panel).to_contain_text("Next montage")
    expect(panel.get_by_role("combobox", name="ctrl + wheel")).to_have_value("length")
    case.keyboard.press("Escape")
    expect(panel).to_be_hidden()
