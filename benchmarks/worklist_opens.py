"""How long a reader waits for the work list of many cases, in a browser: to open it, to search in it, to turn a page.

    python -m benchmarks.worklist_opens --cases 100000 --page docs/performance.md

A SIMULATED run of made-up answers, served as `clinic-mm dashboard` serves it, with SQLite; Debian's chromium on the
same machine. A visit ends when the first line of the list stands on the screen. The first visit of all is that of a
server which has shown no page yet to a browser that has no file of it; then browsers without files, then visits of one
browser that keeps them. The same beside it with a hundredth of the cases.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final

from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.section import machine, write_section
from benchmarks.viewer_room import CHROMIUM, WAIT_MS
from benchmarks.worklist import PAGE, made_run
from tests.serving import Address, serving

TITLE: Final = "Opening the work list in a browser"
SMALLER: Final = 100
LEAST: Final = 200
"""Cases of the smaller run: three pages, and keys to search for."""


def main() -> None:
    """Measure both sizes, print, and write the section where a page is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--visits", type=int, default=20)
    parser.add_argument("--page", type=Path)
    asked = parser.parse_args()
    sizes = (max(LEAST, asked.cases // SMALLER), asked.cases)
    few, many = (measured(n, asked.visits) for n in sizes)
    heads = " | ".join(f"{n:,} cases: median | slowest" for n in sizes)
    rows = "\n".join(f"| {name} | {_told(few[name])} | {_told(many[name])} |" for name in many)
    command = f"`python -m benchmarks.worklist_opens --cases {asked.cases} --page docs/performance.md`"
    told = (
        f"{command}, {machine()}, SQLite, chromium on the same machine. Until the first line of the list is on the "
        f"screen; {asked.visits} of each but the first.\n\n| | {heads} |\n|---|---:|---:|---:|---:|\n{rows}"
    )
    print(told)
    if asked.page:
        write_section(asked.page, TITLE, told)


def measured(n: int, visits: int) -> dict[str, list[float]]:
    """Seconds of everything, by what it is of."""
    with tempfile.TemporaryDirectory() as base:
        run = made_run(Path(base) / "run", n)
        began = time.monotonic()
        with serving(run, Path(base) / "room", Path(base) / "log") as served, sync_playwright() as playwright:
            started_s = time.monotonic() - began
            browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
            first = [_visit(browser, served)]
            told = {
                "the run is taken in and the server answers": [started_s],
                "the very first visit": first,
                "a browser without files": [_visit(browser, served) for _ in range(visits)],
                **_kept(browser, served, n, visits),
            }
            browser.close()
    return told


def _visit(browser: Browser, served: Address) -> float:
    page = _page(browser, served)
    took = _timed(lambda: _opens(page, served))
    page.context.close()
    return took


def _kept(browser: Browser, served: Address, n: int, visits: int) -> dict[str, list[float]]:
    """Of one browser that keeps files: visits, and what is done on the page."""
    page = _page(browser, served)
    _opens(page, served)
    opens = [_timed(lambda: _opens(page, served)) for _ in range(visits)]
    searches = [_timed(lambda at=at: _searches(page, f"{at * n // visits:016x}")) for at in range(visits)]
    _opens(page, served)
    turns = [_timed(lambda at=at: _turns(page, at)) for at in range(min(visits, n // PAGE - 1))]
    page.context.close()
    return {"a browser that keeps files": opens, "a search for one case": searches, "the next page": turns}


def _page(browser: Browser, served: Address) -> Page:
    page = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
    page.context.add_cookies([served.cookie])
    page.set_default_timeout(WAIT_MS)
    return page


def _opens(page: Page, served: Address) -> None:
    page.goto(served, wait_until="commit")
    page.get_by_role("rowheader").get_by_role("link").first.wait_for()


def _searches(page: Page, key: str) -> None:
    field = page.locator(".st-key-list-search input")
    field.fill(key)
    field.press("Enter")
    expect(page.get_by_role("row")).to_have_count(2, timeout=WAIT_MS)
    page.get_by_role("rowheader").get_by_role("link", name=key).wait_for()


def _turns(page: Page, before: int) -> None:
    page.locator(".st-key-list-next button").click()
    page.get_by_text(f"{PAGE * (before + 1) + 1} to ").wait_for()


def _timed(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


def _told(seconds: list[float]) -> str:
    return f"{median(seconds):.2f} s | {max(seconds):.2f} s"


if __name__ == "__main__":
    main()
