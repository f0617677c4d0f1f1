"""How long a reader waits for a CT slice in a real browser, and for a window: cold, from the cache, after the key.

    python -m benchmarks.viewing --page docs/performance.md

SIMULATED series of 512² (uncompressed DICOM), one case each, served as `clinic-mm dashboard` serves them; Debian's
chromium beside the server on the same machine. Cold: no study was opened before, files are read, checked and decoded.
Again: the same studies in a new page, from the cache on disk. Key: from the key event to the end of drawing the slice
after it, and to the next picture of the screen, once all slices are here; messages to Python meanwhile are counted.
The plain way is what the viewer replaced: window, turn and PNG in Python for each slice, without its rerun and network.

The slices that the browser got are compared with the decoded volume, bit for bit.
"""

import tempfile
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final
from urllib.request import Request, urlopen

import numpy as np
import pydicom
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from pydicom.uid import generate_uid

from benchmarks.ct_series import simulated
from benchmarks.section import machine, write_section
from benchmarks.viewer_room import CHROMIUM, WAIT_MS, asked, run_over
from clinic_mm.bundle import folder
from clinic_mm.cohort.load import load_evidence
from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.viewing.study import study_id
from tests.serving import Address, serving

TITLE: Final = "A slice on the screen"
KEY_MS, FIRST_S = 50.0, 1.5
WATCH: Final = """
window.seen = [];
document.addEventListener("drawn", (event) => {
  const root = event.composedPath()[0];
  const shown = root.querySelector("canvas").dataset.shown;
  const told = { drawn: event.detail, shown };
  window.seen.push(told);
  requestAnimationFrame((at) => (told.next = performance.now()));
});
document.addEventListener("keydown", (event) => (window.pressed = event.timeStamp), true);
"""
FIRST: Final = """() => {
  const asked = performance.getEntriesByType("resource").find((one) => one.name.endsWith("/header"));
  const drawn = window.seen.find((one) => one.shown);
  return asked && drawn ? drawn.drawn - asked.startTime : null;
}"""
WINDOW: Final = """async ([code, side]) => {
  const module = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  const values = Int16Array.from({ length: side * side }, (_, at) => (at * 7919) % 4096);
  const pen = Object.assign(document.createElement("canvas"), { width: side, height: side }).getContext("2d");
  const image = pen.createImageData(side, side);
  const told = { slope: 1, intercept: -1024, padding: null, inverted: false, table: null };
  const times = [];
  for (let round = 0; round < 25; round++) {
    const begun = performance.now();
    const view = { center: 40 + round, width: 400, function: "LINEAR_EXACT" };
    const colours = module.coloursOf(module.greysOf(view, told, false));
    module.paint(values, colours, new Uint32Array(image.data.buffer));
    pen.putImageData(image, 0, 0);
    pen.getImageData(0, 0, 1, 1);
    times.push(performance.now() - begun);
  }
  return times;
}"""


def main() -> None:
    """Measure, compare, print, and write the page."""
    given = asked(__doc__, 200, slices=300, cases=5)
    with tempfile.TemporaryDirectory() as base:
        run = a_run(Path(base), given.cases, given.slices)
        with serving(run, Path(base) / "room", Path(base) / "log") as served:
            found = in_browser(served, run, given.keys)
        found["plain_ms"] = plain_way(run)
    text = in_words(found, given.slices, given.cases)
    print(text)
    if given.page:
        write_section(given.page, TITLE, text)


def a_run(base: Path, cases: int, slices: int) -> Path:
    """A run of made-up answers over simulated series."""
    (base / "one").mkdir()
    original = pydicom.dcmread(simulated(base / "one")[0])
    stored = np.frombuffer(original.PixelData, "<u2")
    for case in range(cases):
        series, study = generate_uid(), generate_uid()
        where = base / "files" / f"{case:02d}"
        where.mkdir(parents=True)
        for at in range(slices):
            original.PatientID, original.SeriesInstanceUID, original.StudyInstanceUID = f"SIM{case}", series, study
            original.SOPInstanceUID = original.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            original.InstanceNumber, original.ImagePositionPatient = at + 1, [-250.0, -250.0, 1.25 * at]
            original.SliceThickness = 1.25
            original.PixelData = np.roll(stored, 37 * at + 1009 * case).tobytes()
            original.save_as(where / f"{at:04d}.dcm", enforce_file_format=True)
    run, _ = run_over(base, "ct")
    return run


def in_browser(served: Address, run: Path, keys: int) -> dict[str, Any]:
    """All that is measured in the browser."""
    cases = open_cohort(run.parent / "cohort").cases()
    found: dict[str, Any] = {"cold_s": [], "again_s": []}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1600, "height": 2400})
        context.add_cookies([served.cookie])
        context.add_init_script(WATCH)
        context.route("**/ahead", lambda route: route.abort())  # or the second case would not be cold
        context.set_default_timeout(WAIT_MS)
        first = context.new_page()
        first.goto(f"{served}/about", wait_until="commit")  # Streamlit itself is loaded and imported once
        first.wait_for_selector("h1, h2")
        first.close()
        for name in ("cold_s", "again_s"):
            for case in cases:
                page, sent = context.new_page(), []
                listen(page, sent)
                opened(page, f"{served}/case?case={case.case_key}")
                found[name].append(page.evaluate(FIRST) / 1000)
                if name == "again_s" and case is cases[-1]:
                    found |= after_the_key(page, keys, sent)
                page.close()
                time.sleep(1)
        blank = browser.new_page()
        code = (folder("dashboards") / "components" / "canvas" / "window.js").read_text(encoding="utf-8")
        found["window_ms"] = {side: median(blank.evaluate(WINDOW, [code, side])) for side in (512, 3000)}
        browser.close()
    found["equal"] = equal(served, run)
    return found


def listen(page: Page, sent: list[object]) -> None:
    """Gather what the page sends to Python from now on."""
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))


def opened(page: Page, address: str) -> None:
    """Open a page and wait until its first slice is drawn."""
    page.goto(address, wait_until="commit")
    page.wait_for_function(f"() => ({FIRST})() !== null")


def after_the_key(page: Page, keys: int, sent: list[object]) -> dict[str, Any]:
    """Milliseconds from keys to drawn slices, all slices being there."""
    canvas = page.locator(".viewer canvas").first
    page.wait_for_function("""() => {
      const hosts = [...document.querySelectorAll("[data-testid=stBidiComponentIsolated]")];
      const roots = hosts.map((one) => one.shadowRoot && one.shadowRoot.querySelector(".viewer"));
      const root = roots.find((one) => one && one.dataset.held);
      const most = root && Number(root.querySelector("input[type=range][max]").max) + 1;
      return root && Number(root.dataset.held) >= most;
    }""")
    canvas.focus()
    page.wait_for_timeout(2000)
    before = len(sent)
    assert before, "a page that never spoke to Python would prove nothing"
    drawn_ms, seen_ms = [], []
    for at in range(keys):
        page.evaluate("() => { window.seen = []; }")
        canvas.press("ArrowDown" if at % 40 < 20 else "ArrowUp")
        page.wait_for_function("() => window.seen.some((one) => one.next)")
        one = page.evaluate("() => ({ ...window.seen.find((one) => one.next), pressed: window.pressed })")
        drawn_ms.append(one["drawn"] - one["pressed"])
        seen_ms.append(one["next"] - one["pressed"])
    return {"drawn_ms": drawn_ms, "seen_ms": seen_ms, "sent": len(sent) - before}


def equal(served: Address, run: Path) -> bool:
    """Whether slices of the route are those of the decoded volume."""
    cohort = open_cohort(run.parent / "cohort")
    case = cohort.cases()[0]
    evidence = case.usable("ct")[0]
    volume: Any = load_evidence(evidence, cohort.roots)
    whole = np.rint(volume.hu).astype("<i2")
    address = f"{served}/v1/case/{case.case_key}/ct/{study_id(evidence)}"

    def got(path: str) -> bytes:
        with urlopen(Request(f"{address}/{path}", headers=served.headers), timeout=WAIT_MS / 1000) as answer:  # noqa: S310
            return bytes(answer.read())

    return (
        got("axial/3") == whole[:, :, 3].T.tobytes()
        and got("coronal/200") == whole[:, 200].T.tobytes()
        and got("sagittal/100") == whole[100].T.tobytes()
    )


def plain_way(run: Path, slices: int = 20) -> float:
    """Milliseconds for one slice as the page made it before: window, turn, resize, PNG."""
    cohort = open_cohort(run.parent / "cohort")
    volume: Any = load_evidence(cohort.cases()[0].usable("ct")[0], cohort.roots)
    times = []
    for at in range(min(slices, volume.hu.shape[2])):
        begun = time.perf_counter()
        plane = volume.hu[::-1, ::-1, at].T
        grey = (np.clip((np.nan_to_num(plane, nan=-1000.0) + 600) / 1500 + 0.5, 0, 1) * 255).round().astype(np.uint8)
        Image.fromarray(grey).resize((768, 768), Image.Resampling.BILINEAR).save(BytesIO(), "PNG")
        times.append(1000 * (time.perf_counter() - begun))
    return median(times)


def in_words(found: dict[str, Any], slices: int, cases: int) -> str:
    """The section of the page."""
    drawn, seen = p95(found["drawn_ms"]), p95(found["seen_ms"])
    first = max(found["cold_s"])
    rows = [
        (
            "first slice, nothing opened before",
            f"{median(found['cold_s']):.2f} s, slowest {first:.2f} s",
            f"≤ {FIRST_S} s",
        ),
        ("first slice, opened before", f"{median(found['again_s']):.2f} s, slowest {max(found['again_s']):.2f} s", ""),
        ("key to slice drawn, p95", f"{drawn:.1f} ms (median {median(found['drawn_ms']):.1f})", f"≤ {KEY_MS:.0f} ms"),
        ("key to the next picture of the screen, p95", f"{seen:.1f} ms (median {median(found['seen_ms']):.1f})", ""),
        ("messages to Python meanwhile", str(found["sent"]), "0"),
        ("another window on 512²", f"{found['window_ms'][512]:.1f} ms", ""),
        ("another window on 3000²", f"{found['window_ms'][3000]:.1f} ms", ""),
        ("plain way: one slice as PNG in Python", f"{found['plain_ms']:.1f} ms, and a rerun", ""),
    ]
    table = "\n".join(f"| {what} | {value} | {needed} |" for what, value, needed in rows)
    return (
        f"`python -m benchmarks.viewing --page docs/performance.md`, {machine()}; {cases} SIMULATED series of "
        f"{slices} × 512², uncompressed DICOM, one reader, {len(found['drawn_ms'])} keys; server and chromium share "
        f"the cores.\n\n| what | measured | needed |\n|---|---|---|\n{table}\n\n"
        f"Slices of the route equal the decoded volume in every plane: {'yes' if found['equal'] else 'NO'}. "
        "First slices count from the viewer's first request; the page around it is Streamlit's and comes before. "
        "The slice that is asked for first is decoded first, once all headers are checked and all files are those of "
        "ingest; the rest follows beside it. The first cases of the work list, and those after the open one, are "
        "decoded ahead."
    )


def p95(values: Sequence[float]) -> float:
    """The 95th percentile."""
    return quantiles(values, n=20)[-1]


if __name__ == "__main__":
    main()
