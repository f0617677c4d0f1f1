"""Similar cases and report links on the case page: there with the answer, and not before, nor for who may not."""

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from clinic_mm.report.run import Prediction, open_run, write_shard
from tests.dashboards.conftest import Page, answers_open
from tests.dashboards.test_pages import answered, texts
from tests.dashboards.test_reading import Room, opinion, press
from tests.dashboards.test_silence import sent
from tests.report.silent import REASON
from tests.report.similar_cases import with_similar
from tests.signed_in import signed_in

SAID = ("most alike in what the experts said", "positive 0.79", "ruled the truth out", "The nearest past errors")
SPELLINGS = ("pdf", "fhir", "sr", "html", "text")


@pytest.fixture
def similar_run(made_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Prediction]:
    """The run once more; its complete-most case has similar ones."""
    run = Path(shutil.copytree(made_run, tmp_path / "run"))
    (tmp_path / "cohort").symlink_to(made_run.parent / "cohort")
    monkeypatch.setenv("CLINIC_MM_RUN", str(run))
    return run, with_similar(answered(run))


def put(run: Path, found: Prediction) -> None:
    others = [p for p in open_run(run).predictions() if p.case_key != found.case_key]
    write_shard([*others, found], run / "shards" / "part-00000.parquet")


def links(test: AppTest) -> list[str]:
    return [one.proto.url for one in test.get("link_button")]


def test_similar_cases_stand_beside_the_answer_and_each_sentence_says_whose_cases(
    page: Page, similar_run: tuple[Path, Prediction]
) -> None:
    run, found = similar_run
    put(run, found)
    test = page("case", case=found.case_key)
    assert not test.exception
    said = texts(test)
    assert all(words in said for words in SAID)
    assert "- In training: of the 40 patients" in said
    assert "- At this site: too few outcomes" in said


def test_similar_cases_tell_nothing_where_no_answer_is_shown(page: Page, similar_run: tuple[Path, Prediction]) -> None:
    run, found = similar_run
    put(run, found.model_copy(update={**REASON, "decision": ""}))
    shown = sent(page("case", case=found.case_key))
    assert not [words for words in (*SAID, "At this site") if words in shown]


def test_similar_cases_and_reports_open_with_the_answer(
    similar_run: tuple[Path, Prediction], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(*similar_run)
    with signed_in(monkeypatch, tmp_path / "home", similar_run[0]):
        room = Room(similar_run[0])
        test = room.page()
        for step in ("", "Begin to read"):
            test = press(test, step) if step else test
            assert not [words for words in SAID if words in sent(test)]
            assert links(test) == []
        test = opinion(test, room.found.decision)
        assert all(words in texts(test) for words in SAID)
        assert links(test) == [f"/v1/case/{room.key}/report/{one}" for one in SPELLINGS]
        assert "Preliminary until the case is signed" in texts(test)


def test_who_may_not_hand_reports_on_is_offered_none(
    made_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    with signed_in(monkeypatch, home, made_run, ["viewer"]):
        monkeypatch.setenv("CLINIC_MM_SITE", str(answers_open(home)))
        test = Room(made_run).page()
        assert test.metric  # the answer is open
        assert links(test) == []
