"""What a page of a long EEG costs: on the server by range, in the browser by filter, and the one pass over the whole.

    python -m benchmarks.eeg_viewer --page docs/performance.md
    --hours 24      of 19 channels at 256 Hz, written to a temporary folder (about 0.8 GB for a day)

The plain way of a page is MNE: `read_raw_edf(preload=False)`, then `get_data` of the span, the file opened anew as a
server without a place to keep readers would. Both ways are held equal within half a step of the 16-bit file.
Filters: the viewer's own module in Node (the engine of Chromium), beside scipy on the server; held equal too.
On the screen: the same file served as `clinic-mm dashboard` serves it, Debian's chromium on the same machine; from the
moment at which a key is acted on to the end of drawing, pages forward (fetched ahead) and leaps (not fetched ahead).
"""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import date
from datetime import time as clock
from pathlib import Path
from statistics import median

import edfio
import mne
import numpy as np
from playwright.sync_api import sync_playwright
from scipy import signal as dsp

from benchmarks.section import machine, write_section
from benchmarks.viewer_room import CHROMIUM, WAIT_MS, asked, run_over
from clinic_mm.bundle import folder
from clinic_mm.prep.montage import montage, montage_table
from clinic_mm.sources.eeg.recording import open_eeg
from clinic_mm.viewing.eeg import page, told
from clinic_mm.viewing.eeg_survey import from_bytes, survey, to_bytes
from tests.serving import serving

RATE, PAGE_S, MINUTE = 256, 10, 60
CHOSEN = {"highpass": 0.5, "lowpass": 70, "notch": 50, "zeroPhase": True}
TITLE = "EEG in the dashboard"
PAGE_NOW = (
    "[...document.querySelectorAll('*')].map((e) => e.shadowRoot && e.shadowRoot.querySelector('.viewer[data-page]'))"
    ".find(Boolean).dataset.page"
)


def day(path: Path, hours: float) -> Path:
    """A plain EDF of white noise: one minute, again and again."""
    rng = np.random.default_rng(0)
    labels = montage_table().electrodes
    signals = [
        edfio.EdfSignal(
            rng.normal(0, 30, MINUTE * RATE),
            RATE,
            label=f"EEG {one}",
            physical_dimension="uV",
            physical_range=(-800, 800),
        )
        for one in labels
    ]
    patient, recording = edfio.Patient(code="SIM0"), edfio.Recording(startdate=date(2026, 3, 1))
    made = edfio.Edf(signals, patient=patient, recording=recording, starttime=clock(8, 0), data_record_duration=1)
    made.write(path)
    whole = path.read_bytes()
    header = 256 * (len(labels) + 1)
    minutes = max(1, round(hours * 60))
    with path.open("wb") as file:
        file.write(whole[:236] + f"{minutes * MINUTE:<8d}".encode() + whole[244:header])
        for _ in range(minutes):
            file.write(whole[header:])
    return path


def seconds(does: Callable[[int], object], repeats: int) -> list[float]:
    """How long each of some turns took, after one that does not count."""
    does(0)
    found = []
    for turn in range(repeats):
        began = time.perf_counter()
        does(turn)
        found.append(time.perf_counter() - began)
    return found


def pages(path: Path, repeats: int) -> dict[str, float]:
    """Milliseconds of a page with its margins, at random places, ours and MNE's."""
    opened = open_eeg([path])
    length, margin = opened.volts.shape[1], 2 * RATE
    starts = np.random.default_rng(1).integers(margin, length - (PAGE_S + 2) * RATE, repeats)

    def ours(turn: int) -> bytes:
        return page(opened, int(starts[turn]) - margin, int(starts[turn]) + PAGE_S * RATE + margin)

    def plain(turn: int) -> np.ndarray:
        raw = mne.io.read_raw_edf(path, preload=False, verbose="ERROR")
        return raw.get_data(start=int(starts[turn]) - margin, stop=int(starts[turn]) + PAGE_S * RATE + margin)

    theirs = plain(3)
    np.testing.assert_allclose(np.frombuffer(ours(3), "<f4").reshape(theirs.shape), theirs, atol=1600e-6 / 65535)
    one, other = seconds(ours, repeats), seconds(plain, max(5, repeats // 4))
    return {"ours": median(one) * 1e3, "p95": float(np.percentile(one, 95)) * 1e3, "mne": median(other) * 1e3}


def filters(repeats: int) -> dict[str, float]:
    """Milliseconds for the 18 derivations of a page with margins, montage and filters: browser's code and scipy."""
    rng = np.random.default_rng(2)
    names = montage_table().electrodes
    volts = rng.normal(0, 3e-5, (len(names), (PAGE_S + 6) * RATE)).astype(np.float32)
    banana = montage("banana", names)
    sos = _sos()

    def scipys(_: int) -> np.ndarray:
        return dsp.sosfiltfilt(sos, banana.apply(volts.astype(float)) * 1e6, padtype="odd", padlen=_pad())

    took = seconds(scipys, repeats)
    node = shutil.which("node")
    if node is None:
        return {"scipy": median(took) * 1e3, "browser": float("nan")}
    rows = [[[int(c), float(row[c])] for c in np.flatnonzero(row)] for row in banana.matrix]
    given = {"volts": volts.ravel().tolist(), "n": volts.shape[1], "rows": rows, "chosen": CHOSEN, "repeats": repeats}
    done = subprocess.run(  # noqa: S603 - our own program
        [node, "--input-type=module", "-e", _program()],
        input=json.dumps(given).encode(),
        capture_output=True,
        check=True,
    )
    answer = json.loads(done.stdout)
    np.testing.assert_allclose(answer["made"], scipys(0)[0], atol=1e-4)
    return {"scipy": median(took) * 1e3, "browser": median(answer["took"])}


def _pad() -> int:
    slow = 5 / (2 * np.pi * CHOSEN["highpass"] * (np.sqrt(2) - 1) ** 0.5)
    return int(np.ceil(max(0.5, slow, 5 * 30 / (np.pi * CHOSEN["notch"])) * RATE))


def _sos() -> np.ndarray:
    def corner(hz: float, factor: float) -> float:
        return RATE / np.pi * float(np.arctan(np.tan(np.pi * hz / RATE) * factor))

    squeeze = np.sqrt(2) - 1
    parts = [
        dsp.butter(1, corner(CHOSEN["highpass"], squeeze**0.5), "highpass", fs=RATE, output="sos"),
        dsp.tf2sos(*dsp.iirnotch(CHOSEN["notch"], 30, fs=RATE)),
        dsp.butter(2, corner(CHOSEN["lowpass"], squeeze**-0.25), "lowpass", fs=RATE, output="sos"),
    ]
    return np.concatenate(parts)


def _program() -> str:
    canvas = folder("dashboards") / "components" / "canvas"
    texts = [json.dumps((canvas / name).read_text(encoding="utf-8")) for name in ("eeg_filter.js", "eeg_trace.js")]
    return f"""
import {{ readFileSync }} from 'node:fs';
const load = (text) => import('data:text/javascript;base64,' + Buffer.from(text).toString('base64'));
const f = await load({texts[0]}), t = await load({texts[1]});
const given = JSON.parse(readFileSync(0, 'utf8'));
const volts = Float32Array.from(given.volts);
let made;
const once = () => given.rows.map((pairs) =>
  f.filterRow(t.derive({{ pairs }}, null, volts, given.n, 0, given.n), given.chosen, {RATE}));
once();
const took = [];
for (let i = 0; i < given.repeats; i += 1) {{
  const began = performance.now();
  made = once();
  took.push(performance.now() - began);
}}
process.stdout.write(JSON.stringify({{ took, made: Array.from(made[0]) }}));
"""


def whole(path: Path) -> dict[str, float]:
    """Seconds to open a recording and to look through it, and to read again what was kept; megabytes of that."""
    opening = seconds(lambda _: told(open_eeg([path]), None), 3)
    began = time.perf_counter()
    data = to_bytes(survey(open_eeg([path])))
    passed = time.perf_counter() - began
    again = seconds(lambda _: from_bytes(data), 3)
    return {"open": median(opening), "pass": passed, "again": median(again), "mb": len(data) / 1e6}


def on_screen(base: Path, keys: int) -> dict[str, float]:
    """Milliseconds to a page on the screen, forward and after leaps; not a number where there is no chromium."""
    if not CHROMIUM.is_file():
        return dict.fromkeys(("first", "next", "next_p95", "leap", "leap_p95"), float("nan"))
    run, (key,) = run_over(base, "eeg")
    with serving(run, base / "room", base / "log") as served, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": 1440, "height": 1600})
        shown.set_default_timeout(WAIT_MS)
        shown.context.add_cookies([served.cookie])
        shown.goto(f"{served}/case?case={key}")
        viewer, canvas = shown.locator(".viewer[data-page]"), shown.locator("canvas.eeg-page")
        viewer.wait_for()
        first = float(str(viewer.get_attribute("data-ms")))
        shown.locator(".viewer[data-surveyed=yes]").wait_for()
        canvas.focus()
        forward, leaps = [], []
        for turn in range(2 * keys):
            before = viewer.get_attribute("data-page")
            if turn < keys:
                shown.keyboard.press("ArrowRight")
            else:
                box = shown.locator("canvas.eeg-strips").bounding_box()
                assert box is not None
                at = 90 + (turn * 7919) % int(box["width"] - 110)
                shown.locator("canvas.eeg-strips").click(position={"x": at, "y": 10})
            shown.wait_for_function(f"() => document.querySelector('div') && {PAGE_NOW} !== '{before}'")
            (forward if turn < keys else leaps).append(float(str(viewer.get_attribute("data-ms"))))
            shown.wait_for_timeout(250)  # a reader looks; what lies beside is fetched
        browser.close()
    return {
        "first": first,
        "next": median(forward),
        "next_p95": float(np.percentile(forward, 95)),
        "leap": median(leaps),
        "leap_p95": float(np.percentile(leaps, 95)),
    }


def told_of(
    hours: float,
    size_mb: float,
    repeats: int,
    by_range: dict[str, float],
    by_filter: dict[str, float],
    over_all: dict[str, float],
    screen: dict[str, float],
) -> str:
    """The section of the page."""
    mine = f"{by_range['ours']:.1f} ms (p95 {by_range['p95']:.1f})"
    rows = [
        ("open a recording: header, names, montages", f"{over_all['open'] * 1e3:.0f} ms", ""),
        ("a page by range, anywhere in it", mine, f"MNE, opened anew: {by_range['mne']:.0f} ms"),
        (
            "montage and three filters, 18 derivations, in the browser",
            f"{by_filter['browser']:.1f} ms",
            f"scipy on the server: {by_filter['scipy']:.1f} ms",
        ),
        (
            "the next page on the screen, fetched ahead",
            f"{screen['next']:.0f} ms (p95 {screen['next_p95']:.0f})",
            "asked for: 100 ms",
        ),
        (
            "a page anywhere, by a click on the strip",
            f"{screen['leap']:.0f} ms (p95 {screen['leap_p95']:.0f})",
            f"the first of a visit: {screen['first']:.0f} ms",
        ),
        ("one pass: bad channels, extremes, spectrogram", f"{over_all['pass']:.1f} s", "beside the pages, once"),
        ("what it found, read again", f"{over_all['again'] * 1e3:.0f} ms, {over_all['mb']:.0f} MB", ""),
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"""`python -m benchmarks.eeg_viewer --hours {hours:g} --page docs/performance.md`, {machine()}.

SIMULATED noise, 19 channels at 256 Hz, {hours:g} h ({size_mb:.0f} MB), pages of {PAGE_S} s with 2 s on both sides,
{repeats} turns, medians.

| step | clinic_mm | beside it |
|---|---|---|
{table}

Filters run in the browser: there a change of montage, gain or filter costs no request. The round trip that the server
would add is not in its figure. Samples agree with MNE within a step of the file, filters with scipy within 1e-4 µV.
"""


def main() -> None:
    """Measure and write."""
    given = asked(__doc__, 50, hours=24.0, repeats=40)
    with tempfile.TemporaryDirectory() as room:
        (Path(room) / "files").mkdir()
        path = day(Path(room) / "files" / "day.edf", given.hours)
        by_range, over_all = pages(path, given.repeats), whole(path)
        size = path.stat().st_size / 1e6
        screen = on_screen(Path(room), given.keys)
    by_filter = filters(given.repeats)
    body = told_of(given.hours, size, given.repeats, by_range, by_filter, over_all, screen)
    print(body)
    if given.page:
        write_section(given.page, TITLE, body)


if __name__ == "__main__":
    main()
