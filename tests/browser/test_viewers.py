"""The CT and X-ray viewers in a real browser: slices by key without a rerun, windows, turns, distances. SIMULATED."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from clinic_mm.cohort.manifest import open_cohort
from tests.browser.conftest import CHROMIUM
from tests.serving import Address

SHOTS = os.environ.get("CLINIC_MM_SHOTS", "")
WAIT_MS = 120_000
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(served: Address) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 4300})
        page.context.add_cookies([served.cookie])
        page.set_default_timeout(WAIT_MS)
        yield page
        browser.close()


def opened(page: Page, served: Address, made_run: Path, kind: str) -> Locator:
    """The viewer of a kind, its first picture drawn."""
    cases = open_cohort(made_run.parent / "cohort").cases()
    case = next(case for case in cases if case.usable(kind))
    page.goto(f"{served}/case?case={case.case_key}")
    role = {"ct": "CT plane", "xray": "Radiograph"}[kind]
    viewer = page.locator(".viewer", has=page.locator(f'canvas[aria-roledescription="{role}"]'))
    expect(viewer.locator("canvas").first).to_have_attribute("data-shown", re.compile(r"\d+"), timeout=WAIT_MS)
    return viewer


def shot(page: Page, viewer: Locator, name: str) -> None:
    if SHOTS:
        viewer.scroll_into_view_if_needed()
        viewer.screenshot(path=str(Path(SHOTS) / f"{name}.png"))


def bright(canvas: Locator) -> float:
    """Mean grey of what is drawn."""
    script = """(canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let total = 0;
      for (let at = 0; at < data.length; at += 4) total += data[at];
      return total / (data.length / 4);
    }"""
    return float(canvas.evaluate(script))


def test_a_ct_is_read_by_keys_and_mouse_without_a_rerun(page: Page, served: Address, made_run: Path) -> None:
    sent: list[object] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    viewer = opened(page, served, made_run, "ct")
    canvas, said = viewer.locator("canvas").first, viewer.locator(".said")
    page.wait_for_timeout(1500)
    before, first = len(sent), int(canvas.get_attribute("data-shown") or "-1")
    canvas.press("2")
    canvas.press("ArrowDown")
    expect(canvas).to_have_attribute("data-shown", str(first - 1))
    expect(said).to_contain_text(f"Axial slice {first} of")
    expect(said).to_contain_text("Mediastinum window, level 40, width 400 HU")
    shot(page, viewer, "ct")
    grey = bright(canvas)
    canvas.press("i")
    expect(said).to_contain_text("inverted")
    assert bright(canvas) != pytest.approx(grey, rel=0.05)
    box = canvas.bounding_box()
    assert box is not None
    page.keyboard.down("Shift")
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")
    expect(said).to_contain_text(re.compile(r"\d+\.\d mm"))
    expect(viewer.locator(".readout")).to_contain_text(re.compile(r"-?\d+ HU"))
    canvas.press("?")
    expect(viewer.get_by_role("dialog")).to_be_visible()
    expect(viewer.get_by_role("dialog")).to_contain_text("Next slice")
    canvas.press("0")
    expect(said).not_to_contain_text("inverted")
    canvas.press("t")
    expect(viewer.locator(".moment")).to_contain_text("the time cursor stands here")
    expect(viewer).to_have_attribute("data-cursor", "here")
    assert len(sent) == before, "nothing went back to Python"


def test_a_radiograph_is_turned_and_shows_its_values(page: Page, served: Address, made_run: Path) -> None:
    viewer = opened(page, served, made_run, "xray")
    canvas, said = viewer.locator("canvas").first, viewer.locator(".said")
    shot(page, viewer, "xray")
    assert 5 < bright(canvas) < 250
    for key in ("]", "h", "+", "Alt+ArrowUp"):
        canvas.press(key)
    expect(said).to_contain_text(re.compile(r"level \S+, width \S+"))
    canvas.click()
    expect(said).to_contain_text(re.compile(r"Value \S+ · row \d+, column \d+"))
    page.wait_for_timeout(300)
    expect(page.get_by_test_id("stException")).to_have_count(0)


@pytest.mark.parametrize(("wide", "high"), [(1280, 800), (1920, 1080)])
@pytest.mark.parametrize("beside", [False, True])
def test_a_radiograph_fills_its_place_and_words_use_what_is_left(
    page: Page, served: Address, made_run: Path, wide: int, high: int, *, beside: bool
) -> None:
    page.set_viewport_size({"width": wide, "height": high})
    cases = open_cohort(made_run.parent / "cohort").cases()
    case = next(case for case in cases if case.usable("xray") and bool(case.usable("note")) == beside)
    page.goto(f"{served}/case?case={case.case_key}")
    canvas = page.locator('canvas[aria-roledescription="Radiograph"]')
    expect(canvas).to_have_attribute("data-shown", "0", timeout=WAIT_MS)
    viewer = page.locator(".viewer", has=canvas)
    if not beside:  # its tile is as wide as the page
        expect(viewer).to_have_class(re.compile("wide"))
    box, tools, whole = (one.bounding_box() for one in (canvas, viewer.get_by_role("toolbar"), viewer))
    assert box is not None
    assert tools is not None
    assert whole is not None
    assert box["width"] == pytest.approx(box["height"], rel=0.02), "the simulated radiograph is a square"
    assert box["height"] < high
    if beside:
        assert box["width"] == pytest.approx(whole["width"], rel=0.02)
    else:
        assert tools["x"] >= box["x"] + box["width"]
    page.set_viewport_size({"width": 1440, "height": 4300})


def test_a_refusal_is_said_in_words(page: Page, served: Address, made_run: Path) -> None:
    page.route("**/header", lambda route: route.fulfill(status=401))
    cases = open_cohort(made_run.parent / "cohort").cases()
    case = next(case for case in cases if case.usable("xray"))
    page.goto(f"{served}/case?case={case.case_key}")
    expect(page.locator(".viewer .refused").first).to_contain_text(
        "Your session has ended: sign in again", timeout=WAIT_MS
    )
    page.unroute("**/header")
