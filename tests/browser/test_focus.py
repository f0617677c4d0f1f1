"""Whoever goes by Tab sees where he is: every stop of a page has a ring, and the ring is within the window."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from clinic_mm.report.run import open_run
from tests.browser.readings import WAIT_MS, opened, reader
from tests.serving import Address

MOST_STOPS = 150
STOP = """() => {
  let one = document.activeElement;
  while (one.shadowRoot && one.shadowRoot.activeElement) one = one.shadowRoot.activeElement;
  if (one === document.body) return null;
  let seen = 1;
  const above = (part) => part.parentElement || part.getRootNode().host;
  for (let part = one; part; part = above(part)) seen *= getComputedStyle(part).opacity;
  const ringed = [one, one.closest("label")].filter(Boolean).map((part) => [part, getComputedStyle(part)])
    .find(([, style]) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1);
  const reach = ringed ? parseFloat(ringed[1].outlineOffset) : 0;
  const box = ringed && ringed[0].getBoundingClientRect();
  const inside = box && box.left - reach >= 0 && box.right + reach <= innerWidth;
  return { words: one.ariaLabel || one.title || one.innerText || one.tagName, whole: Boolean(inside) && seen > 0.5 };
}"""
pytestmark = pytest.mark.browser


@pytest.mark.long
@pytest.mark.parametrize("look", ["dark", "light"])
@pytest.mark.parametrize("place", ["", "case?case=KEY", "runs", "operations"])
def test_every_stop_of_tab_shows_where_one_is(served: Address, made_run: Path, place: str, look: str) -> None:
    key = next(one.case_key for one in open_run(made_run).predictions() if len(one.pattern) > 3)
    with reader(served, width=1280, height=800, look=look) as page:
        opened(page, f"{served}/{place.replace('KEY', key)}")
        expect(page.get_by_test_id("stMainBlockContainer")).to_be_visible(timeout=WAIT_MS)
        page.add_style_tag(content="* { transition: none !important }")
        hidden, stops = [], 0
        for _ in range(MOST_STOPS):
            page.keyboard.press("Tab")
            stop = page.evaluate(STOP)
            if stop is None:
                break
            stops += 1
            if not stop["whole"]:
                hidden.append(stop["words"][:60])
        assert stops > 10
        assert hidden == []
