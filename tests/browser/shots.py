"""Take pictures of the dashboard of a finished run: `python -m tests.browser.shots demo/run docs/figures`.

    --widths 1280 1920    one picture of each page per width, its name ending in it; 1440 where none is named
    --whole               pages as long as they are, instead of their upper part

In:  a run, the demo's: pictures show simulated cases only. Out: PNG of the work list, of the page about the run, of
one case of each sort that the run has (much evidence, something refused, no answer, hidden by monitoring), of a case
on its way from sealed to signed, and of the reader's own page.

Needs Debian's chromium.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, sync_playwright

from clinic_mm.errors import UsageError
from clinic_mm.evaluate.monitor.state import FILE, read_state
from clinic_mm.report.run import Prediction, Run, open_run
from clinic_mm.store.store import open_store
from tests.serving import PERSON, Address, serving

CHROMIUM = Path("/usr/bin/chromium")
WAIT_S = 300
UPPER_PX = {"worklist": 900, "about": 1100, "feedback": 900}
CASE_PX = 1500
LONGEST_PX = 12_000
BUSY = "[data-testid=stSkeleton], [data-testid=stSpinner], [data-stale=true]"
STANDS = f"""() => document.querySelector("[data-test-script-state=notRunning]") && !document.querySelector("{BUSY}")
    && [...document.images].every(image => image.complete && image.naturalWidth > 0)
    && [...document.querySelectorAll("[data-testid=stVegaLiteChart], [data-testid=stDataFrame]")]
        .every(drawn => drawn.querySelector("canvas, svg"))"""
"""Nothing is loading, and every picture in view, chart and table has been drawn."""
LENGTH = "() => document.querySelector('[data-testid=stMain]').scrollHeight"


def take(run: Path, out: Path, widths: list[int], *, whole: bool) -> None:
    """Photograph every page at every width."""
    opened = open_run(run)
    if not opened.info.simulated:
        raise UsageError("Pictures in the docs show simulated cases only", str(run), "Name the demo's run")
    cases = chosen(opened)
    pages = {
        "worklist": "",
        "sealed": f"case?case={cases['case']}",
        **{name: f"case?case={key}" for name, key in cases.items()},
        "signed": f"case?case={cases['case']}",
        "feedback": "feedback",
        "about": "about",
    }
    out.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory() as room,
        serving(run, Path(room) / "home", Path(room) / "log") as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        for name, path in pages.items():
            _act(address, name, cases)
            for width in widths or [1440]:
                page = browser.new_page(viewport={"width": width, "height": UPPER_PX.get(name, CASE_PX)})
                page.context.add_cookies([address.cookie])
                page.set_default_timeout(WAIT_S * 1000)
                page.goto(f"{address}/{path}")
                until_it_stands(page)
                if whole:
                    page.set_viewport_size({"width": width, "height": min(LONGEST_PX, page.evaluate(LENGTH))})
                    until_it_stands(page)
                page.screenshot(path=str(out / f"dashboard_{name}{f'_{width}' if widths else ''}.png"))
                page.close()
        browser.close()


def _act(address: Address, name: str, cases: dict[str, str]) -> None:
    """Do what a reader does before a picture shows it: begin, give an opinion, accept and sign."""
    with open_store(f"sqlite:///{address.home / 'store.sqlite'}", heads=address.home / "heads") as store:
        user = store.users.by_name(PERSON)
        assert user is not None
        key = cases.get("case" if name in {"sealed", "signed"} else name, "")
        if not key or store.case(key).state not in {"ready", "in_review"}:
            return
        file = store.begin(key, user.id)
        if name != "sealed" and not file.opinions:
            first = store.evidence_of(key)
            file = store.opinion(
                key, user.id, version=file.version, verdict=first.classes[-1] if first else "", sure=0.7
            )
        found = store.prediction(key, user.id) if name == "signed" else None
        if found is not None:
            file = store.decide(key, user.id, version=file.version, act="accept", verdict=found.decision)
            store.sign(key, user.id, version=file.version)


def chosen(run: Run) -> dict[str, str]:
    """One case of each sort, the one with most evidence of it; what the run does not have is left out."""
    state = read_state(run.path) if (run.path / FILE).is_file() else None
    found: dict[str, Prediction] = {}
    for one in sorted(run.predictions(), key=lambda p: (-len(p.pattern), p.case_key)):
        hidden = one.withheld or (state and state.withheld(one.pattern))
        refused = any(missing.status == "rejected" for missing in one.missing)
        sort = "hidden" if hidden else "abstained" if one.abstained else "rejected" if refused else "case"
        found.setdefault(sort, one)
    return {sort: one.case_key for sort, one in found.items()}


def until_it_stands(page: Page) -> None:
    """Wait until nothing is loading any more, twice: a page that has drawn one part may begin the next."""
    for _ in range(2):
        page.wait_for_function(STANDS)
        page.wait_for_timeout(800)


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("run", type=Path)
    asked.add_argument("out", type=Path)
    asked.add_argument("--widths", type=int, nargs="*", default=[])
    asked.add_argument("--whole", action="store_true")
    given = asked.parse_args()
    take(given.run, given.out, given.widths, whole=given.whole)
