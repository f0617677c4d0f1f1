"""Tables of figures and of operators, on a screen of 1280 pixels: nothing of a cell is cut off. SIMULATED."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from clinic_mm.report.run import open_run
from tests.browser.readings import WAIT_MS, opened, reader
from tests.evaluate.folders_made import write_evaluation
from tests.serving import Address, serving

LONG = "rooms_of_a_hospital_with_a_long_name/first_building_second_floor"
RARE = ("ct", "eeg", "note", "ct+eeg", "ct+note", "eeg+note", "ct+eeg+note", "record")
NARROW_PX = 1280
DRAWN = """(() => {
  window.drawn = new Map();
  const fill = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (text, x, y, ...more) {
    const { canvas } = this;
    if (!window.drawn.has(canvas)) window.drawn.set(canvas, new Map());
    const at = this.getTransform().transformPoint(new DOMPoint(x, y));
    const wide = this.measureText(text).width;
    const left = at.x - (this.textAlign === "right" ? wide : 0);
    window.drawn.get(canvas).set(`${Math.round(left)}:${Math.round(at.y)}`, { left, top: at.y, wide, text });
    return fill.call(this, text, x, y, ...more);
  };
  window.grids = () => [...document.querySelectorAll("[data-testid=stDataFrame]")].map((grid) =>
    [...grid.querySelectorAll("canvas")].flatMap((one) => [...(window.drawn.get(one) || new Map()).values()]));
})()"""
CUT = """() => window.grids().flatMap((words) => {
  const top = Math.min(...words.map((one) => one.top));
  const heads = words.filter((one) => one.top < top + 2).map((one) => one.left).sort((a, b) => a - b);
  const next = (left) => heads.find((one) => one > left + 1) ?? Infinity;
  return words.filter(({ left, wide }) => left + wide > next(left)).map((one) => one.text);
})"""
"""Words of a grid that reach into the next column: the grid draws them into their own only."""
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def room(made_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """A room with an evaluation beside its run: one row with figures, many without, since few patients had them."""
    base = tmp_path_factory.mktemp("tables")
    shutil.copytree(made_run, base / "run")
    file = write_evaluation(base / "evaluation", model=open_run(made_run).info.model.hash) / "by_pattern.csv"
    rows = pd.read_csv(file).query("method == 'fusion'")
    few = [rows.tail(1).assign(pattern=pattern, n_patients=12) for pattern in RARE]
    pd.concat([rows.head(1), *few]).to_csv(file, index=False)
    with serving(base / "run", base / LONG / "room", base / "log") as address:
        yield address


@pytest.fixture
def page(room: Address) -> Iterator[Page]:
    with reader(room, width=NARROW_PX, height=4000) as found:
        found.add_init_script(DRAWN)
        yield found


def test_no_interval_of_the_page_about_reliability_is_cut_off(page: Page, room: Address) -> None:
    opened(page, f"{room}/reliability")
    expect(page.get_by_test_id("stDataFrame").first).to_be_visible(timeout=WAIT_MS)
    page.wait_for_function("() => window.grids()[0].some((one) => one.text.includes(' to '))")
    assert page.evaluate(CUT) == []


def test_what_may_be_cleared_stands_whole_on_the_page_of_operators(page: Page, room: Address) -> None:
    opened(page, f"{room}/operations")
    table = page.get_by_role("table").filter(has_text="What may be cleared")
    expect(table).to_be_visible(timeout=WAIT_MS)
    box = table.bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= NARROW_PX
    cut = "(cells) => cells.filter((one) => one.scrollWidth > one.clientWidth + 1).length"
    assert table.locator("td, th").evaluate_all(cut) == 0
