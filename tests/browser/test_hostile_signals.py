"""Text of a file that wants to be a script stays text, in every place where a viewer of signals shows it."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, Route, sync_playwright

from clinic_mm.bundle import folder, policy
from clinic_mm.prep.montage import montage_table
from clinic_mm.signals import EegRecording
from clinic_mm.sources.eeg.quality import Quality
from clinic_mm.types import Flag
from clinic_mm.viewing.eeg import page as samples
from clinic_mm.viewing.eeg import told
from tests.browser.conftest import CHROMIUM
from tests.viewing.test_eeg_page import made

pytestmark = pytest.mark.browser
PAYLOADS = (
    "<img src=x onerror=window.ran=1>",
    "<script>window.ran=1</script>",
    '"><svg onload=window.ran=1>',
    "javascript:window.ran=1",
    "</style><iframe srcdoc='<script>parent.ran=1</script>'>",
    "${window.ran=1}",
)
ROOM = "http://room.test"
MOUNT = """async ([js, css, data]) => {
  const module = await import(URL.createObjectURL(new Blob([js], { type: "text/javascript" })));
  const root = document.getElementById("host").attachShadow({ mode: "open" });
  root.innerHTML = '<div class="viewer"></div>';
  module.default({ parentElement: root, data });
}"""


def hostile() -> tuple[EegRecording, Quality]:
    """A recording whose every text is a payload."""
    plain = made(20.0)
    names = (*PAYLOADS, *montage_table().electrodes[len(PAYLOADS) :])
    annotations = tuple((float(at), 0.5, text) for at, text in enumerate(PAYLOADS))
    others = tuple((text, text) for text in PAYLOADS)
    flags = tuple(Flag(code="eeg.test", why=text) for text in PAYLOADS)
    recording = EegRecording(plain.volts, names, plain.sfreq_hz, annotations, flags, events=annotations, others=others)
    return recording, Quality(PAYLOADS[:2], flags)


def keymap(place: str) -> dict[str, Any]:
    rows = [{"action": action, **row} for action, row in policy("keymap")[place].items() if action != "mouse"]
    return {"keys": rows, "mouse": {}}


def opened(page: Page, name: str, data: dict[str, Any]) -> None:
    import sys

    sys.path.insert(0, str(folder("dashboards")))
    from components.canvas.script import script, text

    page.goto(f"{ROOM}/")
    page.evaluate(MOUNT, [script(f"{name}.js"), text(f"{name}.css"), data])


@pytest.fixture(scope="module")
def page() -> Any:  # noqa: ANN401 - a page, at the end of its browser
    if not CHROMIUM.is_file():
        pytest.skip("no /usr/bin/chromium: apt-get install chromium")
    recording, quality = hostile()
    overview = {
        "column_s": 2.0,
        "columns": 1,
        "frequencies": 1,
        "highest_hz": 30,
        "regions": [{"name": PAYLOADS[0], "levels": "gA=="}],
        "amplitude": {"full_uv": 9, "start_s": 0, "column_s": 20, "typical_uv": [5], "most_uv": [6]},
    }

    def answered(route: Route) -> None:
        address = route.request.url
        if "/page?" in address:
            start, stop = (int(part.partition("=")[2]) for part in address.partition("?")[2].split("&"))
            route.fulfill(body=samples(recording, start, stop), content_type="application/octet-stream")
        elif address.endswith("/overview"):
            route.fulfill(json=overview)
        elif "/v1/" in address:
            route.fulfill(json=told(recording, quality))
        else:
            route.fulfill(body="<!doctype html><div id=host></div>", content_type="text/html")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        found = browser.new_page(viewport={"width": 1200, "height": 1600})
        found.set_default_timeout(60_000)
        found.route("**/*", answered)
        yield found
        browser.close()


def harmless(page: Page) -> None:
    page.wait_for_timeout(300)
    assert page.evaluate("window.ran") is None
    inside = "document.getElementById('host').shadowRoot.querySelectorAll('img, script, svg, iframe').length"
    assert page.evaluate(inside) == 0


def test_an_eeg_of_payloads_runs_none_of_them(page: Page) -> None:
    attention = {"windows": [], "shades": [], "peak_s": 1.0, "words": PAYLOADS[0]}
    view = policy("eeg_view")
    data = {
        "address": f"{ROOM}/v1/case/k/eeg/s",
        "case": PAYLOADS[0],
        "keymap": keymap("eeg"),
        "view": view,
        "starts_h": 1.0,
        "attention": attention,
    }
    opened(page, "eeg", data)
    page.locator(".viewer[data-surveyed=yes]").wait_for()
    page.locator("canvas.eeg-page").focus()
    for key in ("s", "m", "m", ".", "ArrowRight", "?"):
        page.keyboard.press(key)
    page.locator("summary").click()
    listed = page.locator(".eeg-lists li").all_inner_texts()
    assert all(text in line for text, line in zip(PAYLOADS, listed, strict=True))
    harmless(page)


def test_a_record_of_payloads_runs_none_of_them(page: Page) -> None:
    def fact(hours: float, text: str) -> dict[str, Any]:
        names = ("words", "range", "flag", "said", "when")
        return {"hours": hours, "value": hours, "alarm": True, **dict.fromkeys(names, text)}

    lanes = [
        {"name": text, "kind": kind, "unit": text, "low": 1, "high": 2, "facts": [fact(5, text), fact(2, text)]}
        for text in PAYLOADS
        for kind in ("events", "numbers")
    ]
    data = {"lanes": lanes, "decision": True, "undated": 0, "left_out": 0, "lanes_left_out": 0, "after": 0}
    opened(page, "timeline", json.loads(json.dumps(data | {"case": "k", "keymap": keymap("timeline")})))
    page.locator("canvas.timeline").focus()
    for key in ("ArrowDown", "End", "ArrowUp", "?"):
        page.keyboard.press(key)
    assert PAYLOADS[0] in page.locator(".timeline-said").inner_text()
    harmless(page)
