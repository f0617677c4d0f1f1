"""A run goes on where it was, and does again exactly what changed: its rows are those of a run that nothing hurt."""

import errno
import json
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from clinic_mm.errors import ArtifactError, ClinicError, InputError
from clinic_mm.jobs import agreed, drive, ledger, ledger_read, lock, worker
from clinic_mm.jobs.asked import ScreenOptions
from clinic_mm.jobs.screen import screen_cohort
from clinic_mm.jobs.spec import Selection, read_spec
from clinic_mm.prep import batch
from clinic_mm.prep.cache import PrepCache
from clinic_mm.report import atomic, ledger_file
from clinic_mm.report.run import RunInfo, open_run
from tests.conftest import Trained

UNIT = 8


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> ScreenOptions:
    cache = PrepCache(tmp_path_factory.mktemp("cache"))
    return ScreenOptions(validate=False, unit=UNIT, cache=cache, resume=True)


@pytest.fixture(scope="module")
def whole(trained: Trained, options: ScreenOptions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    screen_cohort(trained.model, trained.cohort, out, options=options)
    return out


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be hurt."""
    shutil.copytree(whole, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of the cases that are answered from now on."""
    keys: list[str] = []
    one = batch.prepare_cases

    def noted(cases: list[batch.CaseRecord], *told: object, **more: object) -> object:
        keys.extend(case.case_key for case in cases)
        return one(cases, *told, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(worker, "prepare_cases", noted)
    return keys


def rows(run: Path) -> dict[str, str]:
    """Every Prediction as it stands on disk, without the name of its run; each case once."""
    found = [one.model_dump(mode="json", exclude={"run_id"}) for one in open_run(run).predictions()]
    assert len({one["case_key"] for one in found}) == len(found)
    return {one["case_key"]: json.dumps(one) for one in found}


def same(run: Path, whole: Path) -> bool:
    lists = ("skipped.csv", "worklist.csv")
    return rows(run) == rows(whole) and all((run / n).read_bytes() == (whole / n).read_bytes() for n in lists)


def keys_of(run: Path, unit: int) -> set[str]:
    with ledger_read.read_only(run) as opened:
        return {key for (key,) in opened.db.execute("SELECT case_key FROM cases WHERE unit = ?", (unit,))}


def shards(run: Path) -> list[Path]:
    return sorted(run.glob("shards/*/*.parquet"))


def test_a_second_run_does_nothing(
    run: Path, trained: Trained, options: ScreenOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(agreed, "hire", never)
    before = {path: path.stat().st_mtime_ns for path in run.glob("*.[jc]s*") if path.name != "job.json"}
    assert screen_cohort(trained.model, trained.cohort, run, options=options) == open_run(run).info
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("hurt", ["gone", "cut", "same size"])
def test_a_shard_that_is_gone_or_damaged_is_answered_again_and_nothing_else(
    hurt: str, run: Path, whole: Path, trained: Trained, options: ScreenOptions, answered: list[str]
) -> None:
    path = shards(run)[2]
    content = path.read_bytes()
    if hurt == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:-7] if hurt == "cut" else content[:100] + b"?" + content[101:])
    screen_cohort(trained.model, trained.cohort, run, options=options)
    assert set(answered) == keys_of(whole, 2)
    assert same(run, whole)
    assert shards(run)[2].read_bytes() == content


def test_other_settings_answer_everything_again_and_leave_nothing_of_the_old(
    run: Path, trained: Trained, options: ScreenOptions, answered: list[str]
) -> None:
    said: list[str] = []
    other = replace(options, level=0.8, say=said.append)
    screen_cohort(trained.model, trained.cohort, run, options=other)
    assert set(answered) == {json.loads(row)["case_key"] for row in rows(run).values()} | set(
        open_run(run).skipped()["case_key"]
    )
    assert {one.prediction_set.level for one in open_run(run).predictions()} == {0.8}
    assert any("settings" in line for line in said)
    answered.clear()
    screen_cohort(trained.model, trained.cohort, run, options=options)  # a level that is not named stays as it was
    assert answered == []


Frames = tuple[pd.DataFrame, pd.DataFrame]


def changed_cohort(trained: Trained, into: Path, change: Callable[[pd.DataFrame, pd.DataFrame], Frames]) -> Path:
    """A copy of the cohort, as ingest would write it after its files had changed."""
    shutil.copytree(trained.cohort, into)
    labels, evidence = (pd.read_parquet(into / f"{name}.parquet") for name in ("labels", "evidence"))
    labels, evidence = change(labels, evidence)
    labels.to_parquet(into / "labels.parquet")
    evidence.to_parquet(into / "evidence.parquet")
    info = json.loads((into / "cohort.json").read_text())
    (into / "cohort.json").write_text(json.dumps(info | {"content_hash": f"{into}"}))
    return into


def test_a_changed_case_is_answered_again_a_new_one_too_and_one_that_is_gone_leaves(
    run: Path, whole: Path, trained: Trained, options: ScreenOptions, answered: list[str], tmp_path: Path
) -> None:
    with_xray = [one for one in open_run(whole).predictions() if "xray" in one.pattern]
    changed, gone = with_xray[0], with_xray[1]

    def other_bytes(labels: pd.DataFrame, evidence: pd.DataFrame) -> Frames:
        mine = (evidence["patient_key"] == changed.patient_key) & (evidence["modality"] == "xray")
        evidence.loc[mine, "finding"] = evidence.loc[mine, "finding"].str.replace(
            r'"content_hash":"\w+"', '"content_hash":"0"', regex=True
        )
        return labels[labels["patient_key"] != gone.patient_key], evidence

    cohort = changed_cohort(trained, tmp_path / "cohort", other_bytes)
    screen_cohort(trained.model, cohort, run, options=options)
    assert set(answered) == {changed.case_key}
    left = rows(run)
    assert gone.case_key not in left
    assert not (run / "reports" / f"{gone.case_key}.json").exists()
    others = {key: row for key, row in rows(whole).items() if key not in (changed.case_key, gone.case_key)}
    assert {key: row for key, row in left.items() if key != changed.case_key} == others
    answered.clear()
    screen_cohort(trained.model, trained.cohort, run, options=options)
    assert set(answered) == {changed.case_key, gone.case_key}
    assert rows(run).keys() == rows(whole).keys()
    assert open_run(run).info.counts == open_run(whole).info.counts


def test_a_selection_grows_and_what_is_done_stays(
    whole: Path, trained: Trained, options: ScreenOptions, answered: list[str], tmp_path: Path
) -> None:
    some = replace(options, selection=Selection(limit=10))
    assert screen_cohort(trained.model, trained.cohort, tmp_path / "run", options=some).counts.total == 10
    answered.clear()
    more = replace(options, selection=Selection(limit=24))
    assert screen_cohort(trained.model, trained.cohort, tmp_path / "run", options=more).counts.total == 24
    assert len(answered) == 14
    assert rows(tmp_path / "run").items() <= rows(whole).items() or len(rows(tmp_path / "run")) <= 24
    chosen = Selection(pattern=("note", "record"))
    of_pattern = screen_cohort(
        trained.model, trained.cohort, tmp_path / "other", options=replace(options, selection=chosen)
    )
    assert of_pattern.counts.total == sum(
        one.pattern == ("note", "record") for one in open_run(whole).predictions() if one.pattern
    ) + len([one for one in open_run(tmp_path / "other").predictions() if one.pattern != ("note", "record")])


def stopped_after(units: int, monkeypatch: pytest.MonkeyPatch, options: ScreenOptions) -> ScreenOptions:
    """Options of a run that gets Ctrl-C after so many units."""
    ended: list[int] = []

    def counted(*_: object) -> None:
        ended.append(1)
        if len(ended) == 1 + units:
            os.kill(os.getpid(), signal.SIGINT)

    del monkeypatch
    return replace(options, counted=counted)


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(
    whole: Path, trained: Trained, options: ScreenOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    out = tmp_path / "run"
    asked = replace(stopped_after(3, monkeypatch, options), say=said.append)
    with pytest.raises(KeyboardInterrupt):
        screen_cohort(trained.model, trained.cohort, out, options=asked)
    assert "--resume" in said[-1]
    half = open_run(out)
    assert half.info.finished_at is None
    assert half.info.counts.total == len(half.worklist()) + half.skipped()["case_key"].nunique()
    assert 0 < half.info.counts.total < open_run(whole).info.counts.total
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    screen_cohort(trained.model, trained.cohort, out, options=options)
    assert same(out, whole)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS], ids=["full", "fsync", "read-only"])
def test_a_disk_that_refuses_is_a_clear_error_and_costs_nothing_that_was_done(
    code: int, whole: Path, trained: Trained, options: ScreenOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, synced = tmp_path / "run", os.fsync

    def refuses(handle: int) -> None:
        if len(shards(out)) >= 2:
            raise OSError(code, os.strerror(code))
        synced(handle)

    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, "fsync", refuses)
        with pytest.raises(InputError, match="--resume") as told:
            screen_cohort(trained.model, trained.cohort, out, options=options)
    assert os.strerror(code) in str(told.value)
    assert not list(out.glob("**/.*.tmp"))
    screen_cohort(trained.model, trained.cohort, out, options=options)
    assert same(out, whole)


def test_a_ledger_that_another_program_holds_is_a_clear_error(
    run: Path, whole: Path, trained: Trained, options: ScreenOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards(run)[0].unlink()
    monkeypatch.setattr(ledger_file, "BUSY_MS", 100)
    holder = sqlite3.connect(run / ledger.FILE, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(InputError, match="Another program holds the ledger"):
        screen_cohort(trained.model, trained.cohort, run, options=options)
    holder.close()
    screen_cohort(trained.model, trained.cohort, run, options=options)
    assert same(run, whole)


def test_a_damaged_ledger_is_replaced_by_its_copy_and_no_case_is_answered_again(
    run: Path, whole: Path, trained: Trained, options: ScreenOptions, answered: list[str]
) -> None:
    (run / ledger.FILE).write_bytes(b"no ledger" * 1000)
    screen_cohort(trained.model, trained.cohort, run, options=options)
    assert answered == []
    assert same(run, whole)


def test_a_second_driver_is_refused_and_a_dead_one_holds_nothing(
    run: Path, trained: Trained, options: ScreenOptions
) -> None:
    with (
        lock.only_driver(run),
        pytest.raises(InputError, match=f"Another process screens.*Wait for process {os.getpid()}"),
    ):
        screen_cohort(trained.model, trained.cohort, run, options=options)
    assert not lock.is_driven(run)
    screen_cohort(trained.model, trained.cohort, run, options=options)


def test_a_clock_that_was_set_back_changes_no_row(
    whole: Path, trained: Trained, options: ScreenOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Back(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(UTC) - timedelta(days=400)

    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        screen_cohort(trained.model, trained.cohort, out, options=stopped_after(2, monkeypatch, options))
    monkeypatch.setattr(drive, "datetime", Back)
    screen_cohort(trained.model, trained.cohort, out, options=options)
    assert same(out, whole)
    assert len({path.parent for path in shards(out)}) == 2


def test_a_cohort_that_changes_while_it_is_screened_stops_the_run(
    whole: Path, trained: Trained, options: ScreenOptions, tmp_path: Path
) -> None:
    cohort, out = tmp_path / "cohort", tmp_path / "run"
    shutil.copytree(trained.cohort, cohort)
    kept = (cohort / "cohort.json").read_bytes()

    def another(*_: object) -> None:
        (cohort / "cohort.json").write_text(json.dumps(json.loads(kept) | {"content_hash": "other"}))

    with pytest.raises(InputError, match="changed while it was screened"):
        screen_cohort(trained.model, cohort, out, options=replace(options, counted=another))
    (cohort / "cohort.json").write_bytes(kept)
    screen_cohort(trained.model, cohort, out, options=options)
    assert same(out, whole)


def test_a_model_that_is_no_longer_that_of_the_job_answers_nothing(
    trained: Trained, options: ScreenOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hired = agreed.hire
    monkeypatch.setattr(agreed, "hire", lambda spec, run: hired(spec.model_copy(update={"model_hash": "0" * 64}), run))
    with pytest.raises(ArtifactError, match="The model changed"):
        screen_cohort(trained.model, trained.cohort, tmp_path / "run", options=options)
    assert not shards(tmp_path / "run")


def test_what_our_readers_fail_on_is_tried_at_the_next_starts_and_then_left_alone(
    trained: Trained, options: ScreenOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError

    out = tmp_path / "run"
    asked = replace(options, cache=None, selection=Selection(pattern=("note",), limit=2))
    counts: list[RunInfo] = []
    with monkeypatch.context() as patch:
        patch.setattr(batch, "load_evidence", fails)
        counts = [screen_cohort(trained.model, trained.cohort, out, options=asked) for _ in range(4)]
    assert [(one.counts.failed, one.counts.quarantined) for one in counts] == [(2, 0), (2, 0), (0, 2), (0, 2)]
    mended = screen_cohort(trained.model, trained.cohort, out, options=replace(asked, retry=True))
    assert (mended.counts.done, mended.counts.trouble) == (2, 0)


def test_a_fault_in_every_unit_stops_the_run_and_blames_no_case(
    trained: Trained, options: ScreenOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(worker, "predict_cases", fails)
        with pytest.raises(ClinicError, match="one after the other"):
            screen_cohort(trained.model, trained.cohort, tmp_path / "run", options=options)
    info = screen_cohort(trained.model, trained.cohort, tmp_path / "run", options=replace(options, retry=True))
    assert info.counts.trouble == 0


def test_a_folder_that_holds_something_else_is_not_gone_on_with(
    trained: Trained, options: ScreenOptions, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        screen_cohort(trained.model, trained.cohort, tmp_path, options=options)
    assert read_spec(tmp_path) is None
