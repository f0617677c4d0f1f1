"""Answers that monitoring hides are shown on no page; the reason and what to do are, at once and without a restart."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clinic_mm.evaluate.monitor.state import FILE, Detector, MonitorState, Place, Stop, write_state
from tests.dashboards.conftest import Page
from tests.dashboards.listed import listed
from tests.dashboards.test_pages import answered, texts

SAID, MEND = "ct no longer looks as it did in the reference", "Ask what changed at the source"


def state_of(*stops: Stop, model_hash: str = "a" * 64) -> MonitorState:
    place = Place(number=1)
    return MonitorState(
        model_hash=model_hash,
        reference="run",
        reference_cases=1000,
        cases=400,
        first=place,
        last=Place(number=400),
        simulated=True,
        cases_between_false_alarms=50_000,
        stops=stops,
        detectors=(Detector(about="modality", name="ct", what="opinion", reference=700, seen=280, evidence=12.0),),
    )


def stop(hide: str, name: str = "") -> Stop:
    return Stop.model_validate(
        {"hide": hide, "name": name, "say": SAID, "mend": MEND, "since": {"number": 300}, "at": {"number": 340}}
    )


@pytest.fixture
def hidden(made_run: Path) -> Iterator[Path]:
    write_state(state_of(stop("modality", "ct")), made_run)
    yield made_run
    (made_run / FILE).unlink()


def test_a_hidden_answer_is_on_no_page(page: Page, hidden: Path) -> None:
    found = answered(hidden)
    assert "ct" in found.pattern
    test = page("case", case=found.case_key)
    assert not test.exception
    assert not test.metric
    assert SAID in texts(test)
    assert MEND in texts(test)
    assert "The AI's answer is hidden" in texts(test)
    assert "What the answer rests on" not in texts(test)
    table = listed(page()).set_index("Case")
    assert table.loc[found.case_key, "Answer"] == "Hidden"
    assert table["Urgency"].isna()[found.case_key]


def test_answers_that_do_not_use_it_stay_and_every_page_warns(page: Page, hidden: Path) -> None:
    test = page("case", case="stranger")
    assert test.metric
    for shown in (test, page(), page("about")):
        assert any(SAID in str(one.value).replace("\\", "") for one in shown.error)
    about = page("about")
    assert "answers that use CT" in texts(about)
    assert about.dataframe[0].value["Evidence"].tolist() == [12.0]


def test_a_warning_hides_nothing_and_a_state_of_another_model_stops_the_page(
    page: Page, made_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_state(state_of(stop("nothing", "ct")), tmp_path / "one")
    monkeypatch.setenv("CLINIC_MM_MONITOR", str(tmp_path / "one"))
    test = page("case", case=answered(made_run).case_key)
    assert test.metric
    assert any(SAID in str(one.value).replace("\\", "") for one in test.warning)
    write_state(state_of(stop("all"), model_hash="b" * 64), tmp_path / "two")
    monkeypatch.setenv("CLINIC_MM_MONITOR", str(tmp_path / "two"))
    test = page("case", case=answered(made_run).case_key)
    assert not test.metric
    assert "another model" in texts(test)
