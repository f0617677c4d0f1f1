"""The work list in a browser: a table to a screen reader, walked by keys, alive, and with nothing run of a name."""

import re
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect, sync_playwright

from clinic_mm.bundle import folder
from clinic_mm.store.store import open_store
from clinic_mm.viewing.thumb import png
from tests.browser.conftest import CHROMIUM
from tests.serving import Address

WAIT_MS = 120_000
PLACE = """() => {
  const cell = document.getElementById("host").shadowRoot.activeElement.closest("th, td");
  return `${cell.parentElement.getAttribute("aria-rowindex")}:${cell.getAttribute("aria-colindex")}`;
}"""
MOUNT = """async ([js, css, data]) => {
  const module = await import(URL.createObjectURL(new Blob([js], { type: "text/javascript" })));
  const root = document.getElementById("host").attachShadow({ mode: "open" });
  root.innerHTML = '<div class="viewer"></div>';
  const style = root.appendChild(document.createElement("style"));
  style.textContent = css;
  window.heard = [];
  const setTriggerValue = (name, value) => window.heard.push([name, value]);
  window.told = (rows) => void module.default({ parentElement: root, data: { ...data, rows }, setTriggerValue });
}"""
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


def line(key: str, words: str = "", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - plain data
    cells = dict.fromkeys(("picture", "state", "urgency", "why", "answer", "evidence", "waits", "reader", "for"), words)
    told = {"urgency": 0.5, "picture": "CT", "reading": False}
    return {"key": key, "href": f"case?case={quote(key)}", "cells": {**cells, "case": key}, **told, **more}


@pytest.fixture  # not for the module: one playwright at a time
def alone() -> Iterator[Page]:
    """The table without a server behind it: `told(rows)` on the page tells it something."""
    if not CHROMIUM.is_file():
        pytest.skip("no /usr/bin/chromium: apt-get install chromium")
    picture = png(np.zeros((8, 8), np.uint8))

    def answered(route: Route) -> None:
        if "/thumb" in route.request.url:
            route.fulfill(body=picture, content_type="image/png")
        else:
            route.fulfill(body="<!doctype html><div id=host></div>", content_type="text/html")

    sys.path.insert(0, str(folder("dashboards")))
    from components.canvas.script import script, text
    from components.keys import keymap
    from components.listing import COLUMNS, _column

    data = {
        "label": "Work list",
        "columns": [_column(name, title, words, "urgency") for name, title, words in COLUMNS],
        "first": 50,
        "total": 120,
        "numbered": 9,
        "nothing": "Nothing",
        "keymap": keymap("worklist"),
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        found = browser.new_page(viewport={"width": 1300, "height": 700})
        found.set_default_timeout(WAIT_MS)
        found.route("**/*", answered)
        found.goto("http://room.test/")
        found.evaluate(MOUNT, [script("worklist.js"), text("worklist.css"), data])
        yield found
        browser.close()


def test_a_table_that_keys_walk_and_that_keeps_its_place_when_it_changes(alone: Page) -> None:
    grid = alone.get_by_role("grid", name="Work list")
    alone.evaluate("told", [line("a"), line("b"), line("c")])
    assert [grid.get_attribute(f"aria-{name}") for name in ("rowcount", "colcount")] == ["121", "10"]
    expect(grid.get_by_role("columnheader", name="Urgency")).to_have_attribute("aria-sort", "other")
    expect(grid.get_by_role("columnheader", name="Waits")).to_have_attribute("aria-sort", "none")
    assert grid.get_by_role("rowheader").get_by_role("link").all_inner_texts() == ["a", "b", "c"]
    assert grid.locator('[tabindex="0"]').count() == 1
    expect(grid.get_by_role("img", name="CT")).to_have_count(3)
    grid.get_by_role("link", name="a").focus()
    walked = []
    for key in ("ArrowDown", "ArrowRight", "ArrowDown", "Home", "Control+Home", "End", "Control+End", "ArrowUp"):
        alone.keyboard.press(key)
        walked.append(alone.evaluate(PLACE))
    assert walked == ["53:2", "53:3", "54:3", "54:1", "52:1", "52:10", "54:10", "53:10"]
    alone.keyboard.press("Enter")
    assert alone.evaluate("heard") == [["open", "b"]]

    alone.evaluate("told", [line("new", HOSTILE), line("c"), line("b", HOSTILE, reading=True)])
    assert alone.evaluate(PLACE) == "54:10", "the focus goes with its case"
    expect(alone.get_by_role("status")).to_have_text("The list has changed: 1 case is new on this page")
    expect(grid.get_by_role("row").nth(3)).to_contain_text(HOSTILE)
    assert alone.evaluate("window.ran") is None
    alone.evaluate("told", [line("new"), line("c")])
    assert alone.evaluate(PLACE) == "53:10", "its case has gone"
    for _ in range(3):
        alone.keyboard.press("ArrowUp")
    for _ in range(2):
        alone.keyboard.press("ArrowLeft")
    alone.keyboard.press("Enter")
    grid.get_by_role("link", name="c").click()
    assert alone.evaluate("heard") == [["open", "b"], ["order", "waiting"], ["open", "c"]]


def test_evidence_stands_in_two_lines_beside_long_reasons(alone: Page) -> None:
    alone.set_viewport_size({"width": 1280, "height": 800})
    alone.evaluate("document.getElementById('host').style.width = '1128px'")  # what the page leaves of 1280
    told = line("a", "positive")
    why = "positive 0.50, set: negative or positive; Patient record +2.45, CT −0.87; missing: Chest X-ray, EEG"
    cells = {"why": why, "evidence": "4 of 5: Chest X-ray · EEG · Patient record · Clinical note"}
    empty = {"reader": "", "for": "", "waits": "9 min", "state": "Ready", "urgency": "0.50"}
    alone.evaluate("told", [told | {"cells": {**told["cells"], **cells, **empty}}])
    lines = """(cell) => {
      const range = document.createRange();
      range.selectNodeContents(cell);
      return new Set([...range.getClientRects()].map((one) => Math.round(one.top))).size;
    }"""
    assert alone.locator("td.evidence").evaluate(lines) <= 2
    assert alone.locator("td.why").evaluate(lines) <= 3
    assert alone.locator(".frame").evaluate("(frame) => frame.scrollWidth <= frame.clientWidth")


@pytest.mark.long
def test_the_list_is_a_table_that_keys_walk_and_that_tells_who_reads(served: Address, page: Page) -> None:
    grid = page.get_by_role("grid", name=re.compile("Work list, most urgent first"))
    expect(grid).to_be_visible(timeout=WAIT_MS)
    rows = grid.get_by_role("row")
    assert grid.get_attribute("aria-rowcount") == str(rows.count())
    expect(grid.get_by_role("columnheader", name="Urgency")).to_have_attribute("aria-sort", "other")
    expect(grid.get_by_role("columnheader", name="Waits")).to_have_attribute("aria-sort", "none")
    links = grid.get_by_role("rowheader").get_by_role("link")
    keys = links.all_inner_texts()
    assert len(keys) == rows.count() - 1
    assert grid.locator('[tabindex="0"]').count() == 1
    expect(grid.locator("td.picture img").first).to_be_visible(timeout=WAIT_MS)

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
        # By itself, without a full rerun.
        expect(rows.nth(2)).to_contain_text(f"Being read by {HOSTILE} since", timeout=WAIT_MS)
        store.release(keys[1], reader.id)
    assert focused(page) == "2", "what came anew has taken the focus from nobody"
    assert page.evaluate("window.ran") is None

    grid.get_by_role("columnheader", name="Waits").get_by_role("button").click()
    longest = page.get_by_role("grid", name=re.compile("Work list, longest waiting first"))
    expect(longest.get_by_role("columnheader", name="Waits")).to_have_attribute(
        "aria-sort", "descending", timeout=WAIT_MS
    )
    opened = longest.get_by_role("rowheader").get_by_role("link").nth(1)
    expect(opened).to_be_visible(timeout=WAIT_MS)
    key = opened.inner_text()
    opened.focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/case?case={key}")
