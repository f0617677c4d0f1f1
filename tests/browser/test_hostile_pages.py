"""Two hundred texts that want to be scripts, in every place where a person or a file may put text: none runs.

The browser's policy is switched off here (`bypass_csp`): what keeps them from running is that text stays text.
"""

import base64
import json
import unicodedata
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from urllib.parse import quote

import pydicom
import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from pydicom.config import IGNORE, settings

from clinic_mm.bundle import policy
from clinic_mm.cohort.ingest import ingest
from clinic_mm.predict.prediction import Reason
from clinic_mm.report.run import open_run, write_run, write_shard, write_skipped
from clinic_mm.simulate.cohort import write_cohort
from clinic_mm.store.store import Store, open_store
from clinic_mm.store.values import WorklistQuery
from tests.browser.conftest import CHROMIUM
from tests.browser.payloads import PAYLOADS
from tests.browser.readings import STANDS
from tests.dashboards.conftest import _answered, _info
from tests.report.predictions import flagged, rejected
from tests.serving import PERSON, Address, serving

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(3600)]
CASES, WAIT_MS = 8, 300_000
DICOM_TEXTS = dict.fromkeys(
    ("PatientName", "SeriesDescription", "StudyDescription", "Manufacturer", "ProtocolName"), 60
)
DICOM_TEXTS["ConvolutionKernel"] = 16
OF_A_NOTE = 25
RAN = "() => window.ran || 0"
BORN = """() => {
  const all = (root) => [...root.querySelectorAll("*")].flatMap((e) => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])]);
  const acts = ({ name, value }) => value.includes("window.ran") && (/^on|^srcdoc$/.test(name)
    || (/^(src|href|xlink:href|action|formaction)$/.test(name) && /^\\s*(javascript|data):/i.test(value)));
  return all(document).filter((e) => [...e.attributes].some(acts)).map((e) => e.outerHTML.slice(0, 200));
}"""
"""Elements that hold a payload where a browser would act on it."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.is_file():
        pytest.skip("no /usr/bin/chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield found
        found.close()


def hostile_files(files: Path) -> None:
    """Payloads in what DICOM says of itself, one set for each series; all of them in the notes; others in codes."""
    texts, of_series = cycle(PAYLOADS), dict[str, list[str]]()
    for path in [path for path in (files / "dicom").rglob("*") if path.is_file()]:
        one = pydicom.dcmread(path)
        said = of_series.setdefault(str(one.SeriesInstanceUID), [next(texts).replace("\\", "") for _ in DICOM_TEXTS])
        one.SpecificCharacterSet = "ISO_IR 192"
        for (name, most), text in zip(DICOM_TEXTS.items(), said, strict=True):
            setattr(one, name, text[:most])
        one.save_as(path)
    for path in sorted((files / "fhir").glob("*.ndjson")):
        changed = {"DocumentReference": _with_payloads, "Observation": _named}.get(path.name.split(".")[0])
        if changed:
            lines = path.read_text(encoding="utf-8").splitlines()
            path.write_text("".join(changed(line, at) for at, line in enumerate(lines)), encoding="utf-8")


@pytest.fixture(scope="module")
def unchecked() -> Iterator[None]:
    """Values that DICOM does not allow are written all the same."""
    kept = settings.reading_validation_mode, settings.writing_validation_mode
    settings.reading_validation_mode = settings.writing_validation_mode = IGNORE
    yield
    settings.reading_validation_mode, settings.writing_validation_mode = kept


def _with_payloads(line: str, at: int) -> str:
    one = json.loads(line)
    text = "SIMULATED note.\n" + "\n".join(PAYLOADS[OF_A_NOTE * at % 200 :][:OF_A_NOTE])
    one["content"][0]["attachment"]["data"] = base64.b64encode(text.encode()).decode()
    return json.dumps(one) + "\n"


def _named(line: str, at: int) -> str:
    one, text = json.loads(line), PAYLOADS[at % len(PAYLOADS)]
    one["code"]["text"] = text
    for coding in one["code"].get("coding", ()):
        coding["display"] = text
    return json.dumps(one) + "\n"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory, unchecked: None) -> Iterator[tuple[Address, list[str]]]:
    """A room whose files, answers, people, lists, remarks and reasons are payloads."""
    base = tmp_path_factory.mktemp("hostile")
    write_cohort(base / "files", cases=CASES, seed=3, rate=0.0)
    hostile_files(base / "files")
    cases = ingest(base / "files", base / "cohort", key=base / "key").cases()
    texts = cycle(PAYLOADS)
    answers = []
    for case in cases:
        found = _answered(case, abstained="")
        reasons = tuple(Reason(code="abstain.any", why=next(texts)) for _ in range(5))
        flags = tuple(flagged(why=next(texts)) for _ in range(5))
        more = {"notices": tuple(next(texts) for _ in range(5)), "flags": flags}
        more |= {"missing": (rejected("xray", next(texts)),)} if "xray" not in found.pattern else {}
        silent = {"abstained": next(texts), "abstentions": reasons, "decision": ""} if len(answers) % 3 == 2 else {}
        answers.append(found.model_copy(update={**more, **silent}))
    run = base / "run"
    write_shard(answers, run / "shards" / "part-00000.parquet")
    write_skipped(
        [
            {"case_key": f"s{at}", "status": "skipped", "modality": "", "code": "", "why": next(texts)}
            for at in range(20)
        ],
        run,
    )
    write_run(_info(len(answers)), run)
    with serving(run, base / "room", base / "log") as address:
        with open_store(f"sqlite:///{address.home / 'store.sqlite'}", heads=address.home / "heads") as store:
            acted(store, [case.case_key for case in cases])
        yield address, [case.case_key for case in cases]


def acted(store: Store, keys: list[str]) -> None:
    """Every payload is the name of a user, of a list, a remark, or a reason."""
    user = store.users.by_name(PERSON)
    assert user is not None
    others = [store.users.add(text[:80].replace("\n", " "), ["reader", "signer"]).id for text in set(_short())]
    for text in _short():
        store.save_filter(user.id, text, WorklistQuery(text=text[:20]))
    for at, text in enumerate(PAYLOADS):
        key, who = keys[at % len(keys)], others[at % len(others)]
        store.comment(key, who, version=store.case(key).version, text=text)
        store.break_glass(who, key, text)
    for at, key in enumerate(keys[:4]):
        file = store.begin(key, user.id)
        file = store.opinion(key, user.id, version=file.version, verdict="positive", sure=0.7)
        found = store.prediction(key, user.id)
        act, verdict = ("override", "negative" if found.decision == "positive" else "positive")
        act = act if found.decision else "own"
        file = store.decide(key, user.id, version=file.version, act=act, verdict=verdict, reason=PAYLOADS[at])
        if at % 2:
            store.sign(key, user.id, version=file.version)


def _short() -> list[str]:
    """What fits into a name."""
    folded = {unicodedata.normalize("NFKC", text[:78]).casefold().strip(): text[:78] for text in PAYLOADS}
    return [text for text in folded.values() if text.isprintable()]


def test_where_nothing_escapes_them_they_do_run(browser: Browser) -> None:
    page, ran = browser.new_page(), 0
    for text in PAYLOADS:
        page.set_content(f"<!doctype html><div>{text}</div>", wait_until="commit")
        page.wait_for_timeout(20)
        ran += bool(page.evaluate(RAN))
    page.close()
    assert ran > 100


def test_no_page_and_no_viewer_runs_any_of_two_hundred(browser: Browser, room: tuple[Address, list[str]]) -> None:
    served, keys = room
    context = browser.new_context(viewport={"width": 1440, "height": 5000}, bypass_csp=True)
    context.add_cookies([served.cookie])
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    for path in [
        *policy("roles")["pages"],
        *(f"case?case={key}" for key in keys),
        *(f"glass?case={key}" for key in keys[:1]),
    ]:
        page.goto(f"{served}/{path}")
        page.wait_for_function(STANDS)
        page.wait_for_timeout(2500)
        opened_up(page)
        assert page.evaluate(RAN) == 0, path
        assert page.evaluate(BORN) == [], path
    for at in range(0, 200, 10):
        page.goto(f"{served}/case?case={quote(PAYLOADS[at], safe='')}")
        page.wait_for_timeout(500)
        assert page.evaluate(RAN) == 0, PAYLOADS[at]
    assert asked == []
    context.close()


def opened_up(page: Page) -> None:
    """What is folded is opened, so that it is drawn."""
    for summary in page.locator("summary").all()[:30]:
        if summary.is_visible():
            summary.click()
    for button in page.get_by_test_id("stPopoverButton").all()[:4]:
        if button.is_visible():
            button.click()
            page.wait_for_timeout(300)
            page.keyboard.press("Escape")
    page.wait_for_timeout(500)


def test_the_payloads_were_there(room: tuple[Address, list[str]]) -> None:
    served, keys = room
    with open_store(f"sqlite:///{served.home / 'store.sqlite'}", heads=served.home / "heads") as store:
        said = {one.text for key in keys for one in store.case(key).comments}
    assert said == set(PAYLOADS)
    assert len(open_run(served.home.parent / "run").worklist()) >= CASES
