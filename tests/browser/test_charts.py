"""Words and lines of charts, as the browser drew them, stand out from their ground in both themes (WCAG 2.2 AA).

Charts are SVG: the colour of each word is read from it, not from its pixels, whose edges are smoothed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Page

from tests.browser.readings import opened, reader
from tests.browser.shots import LENGTH, until_it_stands
from tests.browser.test_access import GROUND, GROUNDS
from tests.dashboards.conftest import answers_open
from tests.dashboards.test_contrast import DRAWN, WORDS, contrast, laid_over
from tests.dashboards.test_pages import answered
from tests.dashboards.test_science import beside as beside  # a run with figures of every sort beside it
from tests.serving import Address, serving

CHARTS: Final = {"case": 1, "reliability": 3, "compare": 2, "drift": 1}
"""Pages with charts, and how many they have at least of the figures that tests make."""
SEEN: Final = """() => {
  const found = { words: [], drawn: [] };
  for (const chart of document.querySelectorAll("[data-testid=stVegaLiteChart]")) {
    const svg = chart.querySelector("svg");
    for (const one of svg.querySelectorAll("text")) {
      const style = getComputedStyle(one);
      if (one.textContent.trim() && style.opacity !== "0")
        found.words.push([one.textContent, style.fill, style.opacity * style.fillOpacity]);
    }
    for (const one of svg.querySelectorAll("g.role-mark > path, g.role-mark > line, .role-legend-symbol > path")) {
      const style = getComputedStyle(one);
      for (const [colour, part] of [[style.fill, style.fillOpacity], [style.stroke, style.strokeOpacity]])
        if (!["none", "transparent", "rgba(0, 0, 0, 0)"].includes(colour))
          found.drawn.push([one.getAttribute("aria-label") ?? "", colour, style.opacity * part]);
    }
  }
  return found;
}"""
"""Words that are shown, those hidden as they overlap left out; marks and symbols; each with colour and opacity."""
pytestmark = [pytest.mark.browser, pytest.mark.long]


@pytest.fixture(scope="module")
def figures(beside: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    base = tmp_path_factory.mktemp("charts")
    more = {"CLINIC_MM_SITE": str(answers_open(base / "room"))}
    with serving(beside, base / "room", base / "log", more=more) as address:
        yield address


def charts_of(page: Page, address: Address, name: str, run: Path) -> dict[str, list[Any]]:
    """Words and marks of all charts of a page, unfolded."""
    opened(page, f"{address}/{name}" + (f"?case={answered(run).case_key}" if name == "case" else ""))
    until_it_stands(page)
    page.evaluate("() => document.querySelectorAll('details').forEach((one) => (one.open = true))")
    page.set_viewport_size({"width": 1280, "height": page.evaluate(LENGTH) + 50})
    until_it_stands(page)
    assert page.locator("[data-testid=stVegaLiteChart] svg").count() >= CHARTS[name]
    return page.evaluate(SEEN)


def hexed(colour: str) -> str:
    """`rgb(1, 2, 3)` as `#010203`."""
    return "#" + "".join(f"{int(part):02x}" for part in colour.removeprefix("rgb(").removesuffix(")").split(","))


def faint(found: list[Any], ground: str, least: float) -> dict[str, tuple[str, float]]:
    """What stands out too little, with its colour and contrast."""
    seen = {words: laid_over(hexed(colour), hexed(ground), float(part)) for words, colour, part in found}
    ratios = {words: (colour, contrast(colour, hexed(ground))) for words, colour in seen.items()}
    return {words: told for words, told in ratios.items() if told[1] < least}


@pytest.mark.parametrize("look", ["light", "dark"])
def test_words_and_lines_of_every_chart_stand_out(figures: Address, beside: Path, look: str) -> None:
    with reader(figures, width=1280, height=1000, look=look) as page:
        for name in CHARTS:
            found = charts_of(page, figures, name, beside)
            assert page.evaluate(GROUND) == GROUNDS[look]
            assert len(found["words"]) > 5 * CHARTS[name]
            assert found["drawn"]
            assert not faint(found["words"], GROUNDS[look], WORDS), name
            assert not faint(found["drawn"], GROUNDS[look], DRAWN), name


def test_words_stand_out_when_a_reader_turns_the_page_light(figures: Address, beside: Path) -> None:
    with reader(figures, width=1280, height=1000, look="dark") as page:
        dark = charts_of(page, figures, "drift", beside)
        assert not faint(dark["words"], GROUNDS["dark"], WORDS)
        page.get_by_test_id("stMainMenu").get_by_role("button").click()
        page.get_by_role("menuitemradio", name="Light").click()
        page.wait_for_function(f"() => ({GROUND})() === '{GROUNDS['light']}'")
        until_it_stands(page)
        light = page.evaluate(SEEN)
        assert [words for words, *_ in light["words"]] == [words for words, *_ in dark["words"]]
        assert not faint(light["words"], GROUNDS["light"], WORDS)
