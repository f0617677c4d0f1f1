import json
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from clinic_mm.report.run import Prediction, open_run
from clinic_mm.report.words import label_of, probability
from tests.dashboards.conftest import ABSTAINED, Page
from tests.dashboards.listed import listed


def answered(run: Path) -> Prediction:
    """The complete-most case that has an answer and stands in the cohort."""
    found = open_run(run)
    keys = [key for key in found.worklist()["case_key"] if key != "stranger"]
    predictions = [found.prediction(key) for key in keys]
    return max((p for p in predictions if not p.abstained), key=lambda p: len(p.pattern))


def texts(test: AppTest) -> str:
    parts = [*test.markdown, *test.caption, *test.warning, *test.error, *test.subheader, *test.header, *test.info]
    return "\n".join(str(part.value) for part in parts).replace("\\", "")


def test_the_worklist_ranks_by_urgency_and_says_why(page: Page) -> None:
    test = page()
    assert not test.exception
    table = listed(test).set_index("Case")
    assert table["Urgency"].dropna().is_monotonic_decreasing
    assert all(table["Why it stands here"])
    assert "No answer" in set(table["Answer"])
    assert table.loc["k9", "Why it stands here"].startswith("No answer: ")


def test_the_worklist_filters_by_key_and_by_answer(page: Page) -> None:
    test = page()
    test.text_input[0].set_value("STRANG").run()
    assert list(listed(test)["Case"]) == ["stranger"]
    test.text_input[0].set_value("no such key").run()
    assert len(listed(test)) == 0
    assert not test.exception


def test_every_page_says_simulated_and_not_a_device(page: Page, made_run: Path) -> None:
    for test in (page(), page("about"), page("case", case=answered(made_run).case_key)):
        assert "SIMULATED COHORT" in test.warning[0].value
        assert "Not a medical device" in test.warning[0].value


def test_the_case_page_answers_first(page: Page, made_run: Path) -> None:
    found = answered(made_run)
    test = page("case", case=found.case_key)
    assert not test.exception
    assert not test.error
    assert test.metric[0].value == probability(found.probability_of("positive"))
    assert "90 % prediction set: positive" in texts(test) or "90 % prediction set: negative" in texts(test)


def test_every_present_modality_is_shown(page: Page, made_run: Path) -> None:
    said = texts(page("case", case=answered(made_run).case_key))
    assert "Cannot be shown" not in said
    for name in ("ct", "xray", "eeg", "record"):
        assert (f"##### {label_of(name)}" in said) == (name in answered(made_run).pattern)


def test_a_toggle_shows_the_stored_probability_of_the_rest(page: Page, made_run: Path) -> None:
    found = answered(made_run)
    off = found.pattern[0]
    test = page("case", case=found.case_key)
    next(t for t in test.toggle if t.key == f"use-{found.case_key}-{off}").set_value(False).run()
    rest = found.subsets["+".join(m for m in found.pattern if m != off)]
    assert f"**{probability(rest[1])}** (all: {probability(found.probabilities[1])})" in texts(test)


def test_all_switched_off_leaves_the_base_rate(page: Page, made_run: Path) -> None:
    found = answered(made_run)
    test = page("case", case=found.case_key)
    for toggle in [t for t in test.toggle if str(t.key).startswith("use-")]:
        toggle.set_value(False)
    test.run()
    assert "no evidence, the base rate: probability of positive **0.30**" in texts(test)


def test_an_abstention_shows_its_reason_and_no_number(page: Page, made_run: Path) -> None:
    frame = open_run(made_run).worklist()
    test = page("case", case=frame.loc[frame["abstained"] != "", "case_key"].iloc[0])
    assert ABSTAINED in texts(test)
    assert not test.metric
    assert not test.exception


def test_a_refusal_is_told_with_its_reason_and_cannot_become_a_link(page: Page) -> None:
    test = page("case", case="stranger")
    said = "\n".join(str(part.value) for part in [*test.markdown, *test.warning])
    assert "4 of 48 slices are missing" in said
    assert "](http" not in said
    assert "no longer forms this case" in texts(test)
    assert not test.exception


@pytest.mark.parametrize("key", ["nobody", "../../etc", "<script>", "x" * 9999])
def test_an_unknown_case_is_told_calmly(page: Page, key: str) -> None:
    test = page("case", case=key)
    assert not test.exception
    assert "no such case" in test.error[0].value


def test_the_about_page_names_the_model_and_the_skipped(page: Page) -> None:
    test = page("about")
    assert not test.exception
    assert "nothing usable" in test.dataframe[0].value["Why"].to_list()
    assert "aaaaaaaaaaaaaaaa" in str(test.table[0].value)


def test_a_cohort_that_has_moved_leaves_the_answer_readable(
    page: Page, made_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = shutil.copytree(made_run, tmp_path / "run")
    monkeypatch.setenv("CLINIC_MM_RUN", str(moved))
    test = page("case", case=answered(made_run).case_key)
    assert test.metric
    assert "not a cohort folder" in texts(test)
    assert not test.exception


def test_a_run_of_another_version_is_refused_with_the_mend(
    page: Page, made_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = json.loads((made_run / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**given, "schema_version": "9.0"}))
    monkeypatch.setenv("CLINIC_MM_RUN", str(tmp_path))
    test = page()
    assert not test.exception
    assert "screen again" in test.error[0].value


def test_without_a_run_the_page_says_how_to_start(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLINIC_MM_RUN")
    assert "clinic-mm dashboard RUN" in page().error[0].value.replace("\\", "")
