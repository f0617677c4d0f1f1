"""Every page for everybody: axe-core finds nothing heavy, light and dark, on any page of the table of pages."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from clinic_mm.bundle import policy
from clinic_mm.report.run import open_run
from clinic_mm.store.store import open_store
from tests.browser import axe
from tests.browser.readings import opened, reader
from tests.browser.shots import LENGTH, LONGEST_PX, until_it_stands
from tests.dashboards.test_pages import answered
from tests.serving import PERSON, Address, serving

PAGES = tuple(policy("roles")["pages"])
GROUND = "() => getComputedStyle(document.querySelector('.stApp')).backgroundColor"
GROUNDS = {"dark": "rgb(14, 18, 22)", "light": "rgb(255, 255, 255)"}
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def case_key(made_run: Path) -> str:
    return answered(made_run).case_key


def path_of(page: str, case_key: str) -> str:
    return f"case?case={case_key}" if page == "case" else page


def whole(page: Page, width: int) -> None:
    """Everything unfolded and on the screen: axe judges contrast only of what is."""
    until_it_stands(page)
    page.evaluate("() => document.querySelectorAll('details').forEach((one) => (one.open = true))")
    page.set_viewport_size({"width": width, "height": min(LONGEST_PX, page.evaluate(LENGTH) + 50)})
    until_it_stands(page)


def test_axe_sees_what_is_wrong_and_nothing_on_the_page_of_a_case(served: Address, case_key: str) -> None:
    with reader(served, width=1280, height=2500) as page:
        opened(page, f"{served}/{path_of('case', case_key)}")
        assert axe.findings(page) == []
        page.evaluate(
            """() => {
              const faint = document.createElement("p");
              Object.assign(faint, { textContent: "hardly to be read" });
              faint.style.cssText = "color: #444; background: #333";
              const nameless = document.createElement("button");
              document.querySelector("[data-testid=stMainBlockContainer]").prepend(faint, nameless);
            }"""
        )
        assert {words.split()[0] for words in axe.findings(page)} == {"color-contrast", "button-name"}


@pytest.mark.long
@pytest.mark.parametrize("look", ["dark", "light"])
@pytest.mark.parametrize("width", [1280, 1920])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_heavy(served: Address, case_key: str, name: str, width: int, look: str) -> None:
    with reader(served, width=width, height=1000, look=look) as page:
        opened(page, f"{served}/{path_of(name, case_key)}")
        whole(page, width)
        assert page.evaluate(GROUND) == GROUNDS[look]
        assert axe.findings(page) == []
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keys and mouse")).to_be_visible()
        assert axe.findings(page) == []


@pytest.mark.long
@pytest.mark.parametrize("look", ["dark", "light"])
def test_axe_finds_nothing_heavy_while_a_case_is_read(made_run: Path, case_key: str, tmp_path: Path, look: str) -> None:
    with (
        serving(made_run, tmp_path / "room", tmp_path / "log") as address,
        open_store(f"sqlite:///{address.home / 'store.sqlite'}", heads=address.home / "heads") as store,
    ):
        user = store.users.by_name(PERSON)
        found = open_run(made_run).prediction(case_key)
        assert user is not None
        for act in ("sealed", "begun", "opinion", "decided", "signed"):
            version = store.case(case_key).version
            if act == "begun":
                store.begin(case_key, user.id)
            elif act == "opinion":
                store.opinion(case_key, user.id, version=version, verdict=found.classes[0], sure=0.7)
            elif act == "decided":
                store.decide(case_key, user.id, version=version, act="accept", verdict=found.decision)
            elif act == "signed":
                store.sign(case_key, user.id, version=version)
            with reader(address, width=1280, height=1000, look=look) as page:
                opened(page, f"{address}/{path_of('case', case_key)}")
                whole(page, 1280)
                assert axe.findings(page) == [], act
