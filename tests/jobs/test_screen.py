"""Screening a cohort: every case is answered or skipped with its reason, for any number of workers, whatever fails."""

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.cohort.task_cases import task_cases
from clinic_mm.errors import InputError, LeakError, UsageError
from clinic_mm.jobs import plan, precision, worker
from clinic_mm.jobs.asked import ScreenOptions
from clinic_mm.jobs.screen import check_run, screen_cohort
from clinic_mm.jobs.spec import Selection
from clinic_mm.predict.artifact import load_model
from clinic_mm.predict.model import Model
from clinic_mm.predict.prediction import Prediction
from clinic_mm.predict.predictor import predict_cases
from clinic_mm.prep.batch import PreparedCases
from clinic_mm.prep.cache import PrepCache
from clinic_mm.report.run import Run, open_run
from clinic_mm.types import CaseRecord
from tests.conftest import Trained


@pytest.fixture(scope="module")
def cases(trained: Trained) -> tuple[CaseRecord, ...]:
    return task_cases(open_cohort(trained.cohort), load_model(trained.model)[0].task)


@pytest.fixture(scope="module")
def run(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("screen") / "run"
    screen_cohort(trained.model, trained.cohort, out)
    return open_run(out)


def test_every_case_is_answered_or_skipped_with_the_reason_of_each_modality(
    run: Run, cases: tuple[CaseRecord, ...]
) -> None:
    answered, skipped = set(run.worklist()["case_key"]), run.skipped()
    assert answered.isdisjoint(skipped["case_key"])
    assert answered | set(skipped["case_key"]) == {case.case_key for case in cases}
    assert run.info.counts.done == len(answered)
    assert run.info.counts.silent == (run.worklist()["abstained"] != "").sum()
    assert run.info.counts.skipped == skipped["case_key"].nunique() > 0
    assert (skipped.groupby("case_key")["modality"].nunique() == 3).all()
    assert (skipped["why"] != "").all()


def test_two_worker_processes_give_the_same_rows_as_this_one_bit_for_bit(trained: Trained, tmp_path: Path) -> None:
    options = ScreenOptions(workers=2, validate=False, unit=16)
    screen_cohort(trained.model, trained.cohort, tmp_path / "two", options=options)
    screen_cohort(trained.model, trained.cohort, tmp_path / "one", options=replace(options, workers=1))
    two, one = open_run(tmp_path / "two"), open_run(tmp_path / "one")
    pd.testing.assert_frame_equal(two.worklist(), one.worklist())
    pd.testing.assert_frame_equal(two.skipped(), one.skipped())
    rows = [[p.model_dump_json(exclude={"run_id"}) for p in opened.predictions()] for opened in (one, two)]
    assert rows[0] == rows[1]
    assert (two.path / "worklist.csv").read_bytes() == (one.path / "worklist.csv").read_bytes()


def test_a_case_that_we_fail_on_costs_itself_alone(
    trained: Trained, cases: tuple[CaseRecord, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = sorted((case for case in cases if case.pattern == ("note", "record")), key=lambda case: case.patient_key)[:8]
    bad = some[2].case_key
    tried: list[int] = []

    def fails(model: Model, model_hash: str, prepared: PreparedCases, *told: object) -> Sequence[Prediction]:
        if bad in [case.case_key for case in prepared.cases]:
            tried.append(len(prepared))
            raise RuntimeError
        return predict_cases(model, model_hash, prepared, *told)  # type: ignore[arg-type]

    monkeypatch.setattr(worker, "predict_cases", fails)
    chosen = Selection(pattern=("record", "note"), limit=8)
    info = screen_cohort(
        trained.model,
        trained.cohort,
        tmp_path / "run",
        options=ScreenOptions(validate=False, unit=2, selection=chosen),
    )
    assert (info.counts.done, info.counts.failed, info.counts.quarantined) == (7, 0, 1)
    assert tried == [2, 2, 1]
    opened = open_run(tmp_path / "run")
    assert set(opened.worklist()["case_key"]) == {case.case_key for case in some} - {bad}
    assert opened.skipped()[["case_key", "status", "why"]].to_numpy().tolist() == [
        [bad, "failed", "RuntimeError while answering, 3 times"]
    ]


def test_who_was_trained_on_is_said_and_can_be_left_out(trained: Trained, run: Run, tmp_path: Path) -> None:
    heard: list[str] = []
    options = ScreenOptions(validate=False, say=heard.append)
    unseen = replace(options, selection=Selection(unseen=True))
    info = screen_cohort(trained.model, trained.cohort, tmp_path / "a", options=unseen)
    assert not any("trained on" in line for line in heard)
    assert 0 < info.counts.done + info.counts.skipped < run.info.counts.done + run.info.counts.skipped
    screen_cohort(trained.model, trained.cohort, tmp_path / "b", options=options)
    assert any("trained on" in line for line in heard)


def test_files_that_changed_since_ingest_are_counted_at_the_end(trained: Trained, tmp_path: Path) -> None:
    cohort, heard = tmp_path / "cohort", list[str]()
    shutil.copytree(trained.cohort, cohort)
    evidence = pd.read_parquet(cohort / "evidence.parquet")
    evidence["finding"] = evidence["finding"].str.replace(r'"content_hash":"\w+"', '"content_hash":"0"', regex=True)
    evidence.to_parquet(cohort / "evidence.parquet")
    options = ScreenOptions(cache=PrepCache(None, verify=True), validate=False, say=heard.append)
    screen_cohort(trained.model, cohort, tmp_path / "run", options=options)
    assert any(re.search(r"refused when read: \d+ file\.changed", line) for line in heard)


def test_a_file_swapped_after_ingest_is_refused_though_neither_cache_nor_verify_is_asked_for(
    trained: Trained, cases: tuple[CaseRecord, ...], tmp_path: Path
) -> None:
    """A cohort whose files were copied has other stamps and the same bytes: it is answered as it was."""
    shutil.copytree(trained.cohort, tmp_path / "cohort")
    shutil.copytree(trained.files, tmp_path / "files")
    info = (trained.cohort / "cohort.json").read_text()
    (tmp_path / "cohort/cohort.json").write_text(info.replace(str(trained.files), str(tmp_path / "files")))
    by_key = {case.case_key: case for case in cases}
    options = ScreenOptions(validate=False, selection=Selection(pattern=("note", "record", "xray"), limit=2), unit=2)

    def screened(run: str) -> dict[str, Prediction]:
        screen_cohort(trained.model, tmp_path / "cohort", tmp_path / run, options=options)
        return {p.case_key: p for p in open_run(tmp_path / run).predictions()}

    whole = screened("copied")
    assert len(whole) == 2
    assert all("xray" in p.pattern for p in whole.values())
    roots = open_cohort(tmp_path / "cohort").roots
    first, second = (roots[x.root] / x.paths[0] for key in whole for x in by_key[key].usable("xray"))
    first_bytes, second_bytes = first.read_bytes(), second.read_bytes()
    first.write_bytes(second_bytes)
    second.write_bytes(first_bytes)
    for key, prediction in screened("swapped").items():
        assert set(prediction.pattern) == {*whole[key].pattern} - {"xray"}
        assert [m.code for m in prediction.missing if m.modality == "xray"] == ["file.changed"]


def test_bfloat16_is_looked_at_anew_for_another_cohort_or_level_and_at_that_level(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, float]] = []
    opened, _ = load_model(trained.model)

    def look(*_: object, ready: Callable[[Model], Model], rests_on: str) -> None:
        asked.append((rests_on, ready(opened).thresholds.level))
        raise UsageError("A decision moved", "--precision bfloat16", "Use --precision float32")

    monkeypatch.setattr(precision, "check_narrow", look)
    shutil.copytree(trained.cohort, tmp_path / "other")
    info = (trained.cohort / "cohort.json").read_text()
    content = open_cohort(trained.cohort).info.content_hash
    (tmp_path / "other/cohort.json").write_text(info.replace(content, "0" * 64))
    level = next(one for one in opened.thresholds.levels if one != opened.thresholds.level)
    for cohort, named in ((trained.cohort, None), (trained.cohort, None), (trained.cohort, level), ("other", None)):
        options = ScreenOptions(precision="bfloat16", level=named)
        with pytest.raises(UsageError, match="decision moved"):
            screen_cohort(trained.model, tmp_path / cohort, tmp_path / "run", options=options)
    keys, levels = zip(*asked, strict=True)
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    assert levels == (opened.thresholds.level, opened.thresholds.level, level, opened.thresholds.level)


def test_a_cohort_of_whom_all_were_trained_on_has_no_unseen(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "trained_on", lambda keys, _: frozenset(keys))
    with pytest.raises(LeakError, match="every patient"):
        screen_cohort(
            trained.model, trained.cohort, tmp_path / "run", options=ScreenOptions(selection=Selection(unseen=True))
        )
    assert check_run(tmp_path / "run", resume=False) is None


def test_a_run_is_never_mixed_with_another(run: Run, trained: Trained) -> None:
    with pytest.raises(InputError, match="not empty"):
        screen_cohort(trained.model, trained.cohort, run.path)
