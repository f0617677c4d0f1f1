"""The comparison: same splits for all, resumable, honest about what it cannot do."""

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import orjson
import pytest

from clinic_mm.cohort.manifest import Cohort
from clinic_mm.compare import compare_prepared, plan_of
from clinic_mm.errors import TaskError
from clinic_mm.evaluate.compare_tables import Tables
from clinic_mm.task import FusionTask
from clinic_mm.training import compared_split, contest
from clinic_mm.training.compared_split import Plan, Source
from clinic_mm.training.methods.base import check_fusion, check_joins
from clinic_mm.training.train import ALONE, Resources, train
from tests import made
from tests.quick import few_steps, without_trees

KINDS = ("record", "note")
PLAIN = {"epochs": 0, "threads": 1}
PLAN = Plan(("default", "average", "gated"), repeats=2, test_share=0.3, draws=60)


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    with without_trees(), few_steps(40):
        yield


def source() -> Source:
    return Source(made.prepared(KINDS, 120), made.recipe(KINDS), None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compare")


@pytest.fixture(scope="module")
def tables(folder: Path) -> Tables:
    return compare_prepared([source()], made.task(KINDS, train=PLAIN), folder, PLAN)


def test_every_method_is_scored_on_the_same_cases_beside_the_plain_ones(tables: Tables) -> None:
    done = tables.methods.set_index("method")
    assert {"default", "average", "gated", "prior", "single:record", "single:note"} <= set(done.index)
    assert done["n_patients"].nunique() == 1 or done.loc["experts", "n_patients"] != done.loc["experts", "n_patients"]
    assert done.loc["prior", "auroc"] == pytest.approx(0.5)
    assert done.loc["default", "auroc"] > 0.7
    for name in ("default", "average", "gated"):
        row = done.loc[name]
        assert row["auroc_low"] <= row["auroc"] <= row["auroc_high"]
        assert row["seconds"] > 0
        assert row["parameters"] >= 0
        assert 0 <= row["cir"] <= 1
    assert done.loc["default", "minus_ours"] == pytest.approx(0)
    assert done.loc["average", "gain_auroc_average"] == pytest.approx(0)


def test_curves_begin_at_the_whole_and_fall(tables: Tables) -> None:
    whole = tables.methods.set_index("method")["auroc"]
    part = tables.curves[(tables.curves["method"] == "default") & (tables.curves["dropped"] == "parameters")]
    value = part.set_index("rate")["value"]
    assert value[0.0] == pytest.approx(whole["default"])
    assert value[0.9] < value[0.0]


def test_the_page_and_the_json_say_the_same(tables: Tables, folder: Path) -> None:
    told = orjson.loads((folder / "compare.json").read_bytes())
    page = (folder / "compare.html").read_text(encoding="utf-8")
    assert told["words"] == tables.words
    assert tables.words.split(":")[0] in page
    by_name = {row["method"]: row for row in told["methods"]}
    assert f"{by_name['default']['auroc']:.3f}" in page
    assert "<script" not in page
    assert "http" not in page


def test_what_is_there_already_is_taken_again(tables: Tables, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("nothing is to be fitted again")

    monkeypatch.setattr(compared_split, "Contest", never)
    again = compare_prepared([source()], made.task(KINDS, train=PLAIN), folder, PLAN)
    assert again.words == tables.words
    np.testing.assert_array_equal(again.methods["auroc"], tables.methods["auroc"])


def test_only_what_is_lacking_is_fitted(tables: Tables, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del tables
    (folder / "splits" / "1" / "gated.json").unlink()
    entered: list[str] = []
    enter = contest.Contest.enter
    monkeypatch.setattr(contest.Contest, "enter", lambda self, name: entered.append(name) or enter(self, name))
    compare_prepared([source()], made.task(KINDS, train=PLAIN), folder, PLAN)
    assert entered == ["gated"]


def test_another_task_is_fitted_anew(folder: Path, tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    del tables
    monkeypatch.setattr(compared_split, "Contest", lambda *_: (_ for _ in ()).throw(RuntimeError("fitted")))
    other = made.task(KINDS, train=PLAIN).model_copy(update={"level": 0.8})
    with pytest.raises(RuntimeError, match="fitted"):
        compare_prepared([source()], other, folder, PLAN)


def test_a_method_that_cannot_is_told_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise TaskError("Too large", "fusion", "Take another")

    monkeypatch.setattr(contest, "fit_method", refuse)
    plan = Plan(("default", "gated"), repeats=1, test_share=0.3, draws=50)
    made_tables = compare_prepared([source()], made.task(KINDS, train=PLAIN), tmp_path, plan)
    row = made_tables.methods.set_index("method").loc["gated"]
    assert "Too large" in row["refused"]
    assert "Too large" in (tmp_path / "compare.html").read_text(encoding="utf-8")


def test_a_method_with_a_fault_of_ours_costs_the_others_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(contest, "fit_method", break_down)
    plan = Plan(("default", "gated"), repeats=1, test_share=0.3, draws=50)
    done = compare_prepared([source()], made.task(KINDS, train=PLAIN), tmp_path, plan).methods.set_index("method")
    assert done.loc["gated", "refused"] == "our fault: ZeroDivisionError"
    assert done.loc["default", "auroc"] > 0.5
    monkeypatch.undo()
    again = compare_prepared([source()], made.task(KINDS, train=PLAIN), tmp_path, plan).methods.set_index("method")
    assert again.loc["gated", "refused"] == ""


def test_few_labels_are_learnt_from_and_the_others_serve_co_learning(tmp_path: Path) -> None:
    plan = Plan(("default", "gated", "distill"), repeats=1, test_share=0.3, draws=50, labels=40)
    done = compare_prepared([source()], made.task(KINDS, train=PLAIN), tmp_path, plan).methods.set_index("method")
    assert done.loc[["default", "gated", "distill"], "auroc"].notna().all()
    assert "Only 40 training cases" in (tmp_path / "compare.html").read_text(encoding="utf-8")


def test_bad_tasks_are_refused_with_the_mend() -> None:
    with pytest.raises(TaskError, match=r"Unknown method 'gatd'.*Did you mean 'gated'"):
        plan_of("gatd", repeats=1, test_share=0.2, draws=50)
    with pytest.raises(TaskError, match=r"is no disturbance.*ways are noise, blur, dead"):
        plan_of("gated", repeats=1, test_share=0.2, draws=50, noise=["xray:fog:3"])
    with pytest.raises(TaskError, match=r"one modality.*Name two or more"):
        check_joins(made.task(("record",)))
    task = made.task(KINDS, train=PLAIN).model_copy(update={"fusion": FusionTask(method="tensr")})
    with pytest.raises(TaskError, match="Did you mean 'tensor'"):
        check_fusion(task)
    task = made.task(KINDS, train=PLAIN).model_copy(update={"fusion": FusionTask(colearning=("distil",))})
    with pytest.raises(TaskError, match="Did you mean 'distill'"):
        check_fusion(task)


def test_training_refuses_a_bad_method_before_anything_is_read(tmp_path: Path) -> None:
    task = made.task(KINDS, train=PLAIN).model_copy(update={"fusion": FusionTask(method="tensr")})
    unread = Mock(spec=Cohort)
    with pytest.raises(TaskError, match="Did you mean 'tensor'"):
        train(unread, task, tmp_path / "model")
    assert not unread.mock_calls
    assert not (tmp_path / "model").exists()


def test_a_class_that_a_part_would_lack_is_an_error(tmp_path: Path) -> None:
    cases = made.prepared(KINDS, 60, labels=np.r_[1, np.zeros(59, int)])
    with pytest.raises(TaskError, match="too few patients"):
        compare_prepared([Source(cases, made.recipe(KINDS), None)], made.task(KINDS, train=PLAIN), tmp_path, PLAN)


@pytest.mark.long
def test_splits_in_processes_of_their_own_answer_the_same(tmp_path: Path) -> None:
    use = Resources(workers=2)
    plan = Plan(("default",), repeats=2, test_share=0.3, draws=50)
    few = Source(made.prepared(("record", "note"), 60), made.recipe(KINDS), None)
    one, many = (
        compare_prepared([few], made.task(KINDS, train=PLAIN), tmp_path / name, plan, use=how)
        for name, how in (("one", ALONE), ("many", use))
    )
    np.testing.assert_allclose(one.by_subset["auroc"], many.by_subset["auroc"])


def test_cohorts_of_one_kind_are_split_each_by_itself_and_scored_together(tmp_path: Path) -> None:
    first, second = (made.prepared(KINDS, 90, seed=seed) for seed in (1, 2))
    plan = Plan(("default", "average"), repeats=1, test_share=0.5, draws=60)
    sources = [Source(cases, made.recipe(KINDS), None) for cases in (first, second)]
    compare_prepared(sources, made.task(KINDS, train=PLAIN), tmp_path, plan)
    told = orjson.loads((tmp_path / "compare.json").read_bytes())
    assert (told["cohorts"], told["repeats"], told["n_cases"]) == (2, 2, 180)
    assert told["best_elsewhere"] is not None
    default = next(row for row in told["methods"] if row["method"] == "default")
    # Each splits its own patients, who have the same names here: more are tested than one cohort has in its half.
    assert default["n_patients"] > 0.6 * told["n_patients"]
