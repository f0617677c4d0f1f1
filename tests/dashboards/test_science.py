"""Pages for data scientists: what is found beside the run, what is withheld, sealed, closed, and who may see it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from clinic_mm.bundle import folder
from clinic_mm.evaluate.monitor.state import write_state
from clinic_mm.report.run import open_run, write_run, write_shard
from clinic_mm.store.values import Role
from tests.dashboards.test_monitor import state_of, stop
from tests.dashboards.test_pages import texts
from tests.evaluate.folders_made import write_comparison, write_evaluation
from tests.signed_in import signed_in

PAGES = ("cohort", "reliability", "drift", "runs", "compare")
Opened = Callable[..., AppTest]


@pytest.fixture(scope="module")
def beside(made_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything beside it: evaluation, comparison, watch, and a later run that changed one answer."""
    base = tmp_path_factory.mktemp("science")
    run = base / "run"
    shutil.copytree(made_run, run)
    opened = open_run(run)
    info = opened.info.model_copy(update={"cohort": str(made_run.parent / "cohort")})
    write_run(info, run)
    write_evaluation(base / "evaluation", model=info.model.hash)
    write_comparison(base / "compared")
    write_state(state_of(stop("modality", "eeg")), base / "watch")
    later = [one.model_copy(update={"decision": "negative"}) for one in opened.predictions()]
    write_shard(later, base / "later" / "shards" / "part-00000.parquet")
    write_run(info.model_copy(update={"run_id": "r2"}), base / "later")
    return run


@pytest.fixture
def science(beside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    with pytest.MonkeyPatch.context() as patch:
        rooms = []

        def opened(view: str, roles: tuple[Role, ...] = ("scientist",), site: str = "") -> AppTest:
            if not rooms:
                rooms.append(signed_in(patch, tmp_path / "room", beside, roles))
                rooms[0].__enter__()
                (tmp_path / "site.toml").write_text(site)
                patch.setenv("CLINIC_MM_SITE", str(tmp_path / "site.toml"))
            test = AppTest.from_file(str(folder("dashboards") / "app.py"), default_timeout=120)
            test.switch_page(f"views/{view}.py")
            return test.run()

        yield opened
        for one in rooms:
            one.__exit__(None, None, None)


def tables(test: AppTest) -> list[pd.DataFrame]:
    return [one.value for one in test.dataframe]


def test_a_data_scientist_sees_every_page_and_each_table_can_be_taken_along(science: Opened) -> None:
    for view in PAGES:
        test = science(view)
        assert not test.exception
        assert not [e for e in test.error if "eeg no longer" not in e.value and "no longer looks" not in e.value], view
        assert tables(test) or "Fewer than 10 patients" in texts(test), view
        assert len(test.get("download_button")) == len([t for t in tables(test) if len(t)]), view


@pytest.mark.long
def test_few_people_are_counted_out_nowhere_and_none_by_his_pseudonym(science: Opened, beside: Path) -> None:
    said = " ".join(texts(science(view)) + " ".join(t.to_csv() for t in tables(science(view))) for view in PAGES)
    patients = {one.patient_key for one in open_run(beside).predictions()} - {"", "p1"}
    assert not [key for key in patients if len(key) > 8 and key in said]
    assert "Fewer than 10 patients" in texts(science("cohort"))


def test_an_administrator_sees_drift_without_files_to_take_and_nothing_else(science: Opened) -> None:
    test = science("drift", roles=("admin",))
    assert tables(test)
    assert not test.get("download_button")
    other = science("reliability")
    assert "Reliability and coverage" not in texts(other)


def test_a_reader_is_refused(science: Opened) -> None:
    for view in PAGES:
        test = science(view, roles=("reader", "signer", "viewer"))
        assert not test.dataframe, view


def test_whoever_gives_first_opinions_gets_no_answer_of_a_single_case(science: Opened) -> None:
    test = science("runs", roles=("scientist", "reader"))
    listed = tables(test)[-1]
    assert "Case" in listed
    assert not [column for column in listed if column.startswith(("Answer", "Set", "Urgency", "Moved"))]
    assert "first opinions" in texts(test)


def test_a_scientist_sees_which_answers_changed_and_a_closed_case_is_not_among_them(
    science: Opened, beside: Path, tmp_path: Path
) -> None:
    rows = open_run(beside).worklist()
    changed = rows.loc[(rows["decision"] != "negative") & (rows["abstained"] == ""), "case_key"].tolist()
    (tmp_path / "closed.txt").write_text(f"{changed[0]}\n")
    test = science("runs", site='[glass]\nclosed_cases = "closed.txt"\n')
    listed = tables(test)[-1] if len(changed) > 1 else pd.DataFrame({"Case": []})
    assert sorted(listed["Case"]) == sorted(changed[1:])
    assert "Closed cases are left out" in texts(test)


def test_what_lies_beside_the_run_can_be_left_alone(science: Opened) -> None:
    test = science("compare", site="[figures]\nbeside_run = false\n")
    assert not test.dataframe
    assert "None was found" in texts(test)


def test_a_damaged_folder_is_told_by_its_field(science: Opened, beside: Path) -> None:
    path = beside.parent / "compared" / "compare.json"
    was = path.read_bytes()
    path.write_bytes(orjson.dumps({**orjson.loads(was), "n_cases": "many"}))
    try:
        test = science("compare")
        assert "n_cases" in "".join(one.value for one in test.error).replace("\\", "")
        assert not test.dataframe
    finally:
        path.write_bytes(was)


def test_a_cell_that_a_spreadsheet_would_run_is_only_text(science: Opened) -> None:
    science("compare")
    from components.science import as_csv

    told = as_csv(pd.DataFrame({"group": ["=1+1", "@x", "site a"], "n": [-1.0, 2.0, 3.0]})).decode()
    assert told.splitlines()[1:] == ["'=1+1,-1.0", "'@x,2.0", "site a,3.0"]
