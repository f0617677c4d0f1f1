"""What an operator asks of a run, and what a run does where that cannot be, or has changed: nothing is lost unsaid."""

import hashlib
import os
import signal
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest

from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.cohort.stream import case_index
from clinic_mm.errors import ClinicError, InputError, TaskError, UsageError
from clinic_mm.jobs import agreed, finish, precision
from clinic_mm.jobs import ledger as ledgers
from clinic_mm.jobs import stop as stopping
from clinic_mm.jobs.asked import ScreenOptions
from clinic_mm.jobs.plan import plan
from clinic_mm.jobs.screen import screen_cohort
from clinic_mm.jobs.spec import JobSpec, Selection, Settings, read_head, read_spec
from clinic_mm.jobs.unit import Answered, CaseRow, Died, Outcome, Shard, Unit
from clinic_mm.predict.seen import trained_on
from clinic_mm.report.atomic import written_whole
from clinic_mm.report.run import Counts, RunInfo, open_run
from tests.conftest import Trained

KEPT = (".json", ".parquet", ".csv")
FEW = ScreenOptions(validate=False, unit=8, resume=True)


@dataclass
class Hired:
    """A worker that loads and reads nothing: a shard of eight bytes for every unit, none for a poisoned one."""

    run: Path
    poison: frozenset[str] = frozenset()
    answered: list[str] = field(default_factory=list)

    def __call__(self, unit: Unit) -> Outcome:
        keys = [case.case_key for case in unit.cases]
        if self.poison.intersection(keys):
            return Died(unit.number, "the worker process vanished")
        self.answered += keys
        path, content = self.run / "shards" / unit.shard, f"{unit.number:8}".encode()
        written_whole(path, content)
        shard = Shard(unit.shard, 8, hashlib.sha256(content).hexdigest(), path.stat().st_mtime_ns, len(keys))
        rows = tuple(CaseRow(key, "done", silent=False, urgency=0.5, pattern="", reason="") for key in keys)
        return Answered(unit.number, rows, shard, 0.5)


@pytest.fixture
def hired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hired:
    """Who works in a run in `tmp_path / "run"`."""
    worker = Hired(tmp_path / "run")
    monkeypatch.setattr(agreed, "hire", lambda *_: worker)
    return worker


def screened(trained: Trained, hired: Hired, **named: object) -> RunInfo:
    return screen_cohort(trained.model, trained.cohort, hired.run, options=replace(FEW, **named))  # type: ignore[arg-type]


def spec_of(trained: Trained, selection: Selection, model_hash: str = "") -> JobSpec:
    return JobSpec(
        run_id="a",
        model=str(trained.model),
        model_hash=model_hash or trained.model_hash,
        cohort=str(trained.cohort),
        cohort_hash="",
        settings=Settings(unit=2),
        selection=selection,
        created_at=datetime(2026, 3, 2, tzinfo=UTC),
    )


def keys_in(ledger: ledgers.Ledger) -> set[str]:
    return {key for (key,) in ledger.db.execute("SELECT case_key FROM cases")}


def test_who_is_unseen_is_asked_of_each_model_anew(trained: Trained, tmp_path: Path) -> None:
    head, cohort, unseen = read_head(trained.model), open_cohort(trained.cohort), Selection(unseen=True)
    index = case_index(cohort, head.task)
    seen = trained_on(index["patient_key"].unique(), head.facts)
    known = dict(zip(index["case_key"], index["patient_key"].isin(seen), strict=True))
    first = head._replace(hash="1" * 64, facts={**head.facts, "patients_sha256": []})
    with ledgers.opened(tmp_path) as ledger:
        plan(ledger, tmp_path, spec_of(trained, unseen, first.hash), first, cohort, retry=False, say=lambda _: None)
        assert keys_in(ledger) == known.keys()
        plan(ledger, tmp_path, spec_of(trained, unseen), head, cohort, retry=False, say=lambda _: None)
        assert keys_in(ledger) == {key for key, was_seen in known.items() if not was_seen} < known.keys()


@pytest.mark.parametrize("first", [0, 16])
def test_thirty_poison_cases_in_a_row_are_set_aside_in_one_start(first: int, trained: Trained, hired: Hired) -> None:
    keys = list(case_index(open_cohort(trained.cohort), read_head(trained.model).task)["case_key"])
    hired.poison = frozenset(keys[first : first + 30])
    counts = screened(trained, hired, unit=16).counts
    assert (counts.quarantined, counts.done) == (30, len(keys) - 30)


def test_a_shard_that_is_damaged_while_the_run_goes_on_is_not_declared_finished(trained: Trained, hired: Hired) -> None:
    def cut(*_: object) -> None:
        for path in sorted(hired.run.glob("shards/*/*.parquet"))[:1]:
            path.write_bytes(b"cut")

    with pytest.raises(InputError, match=r"1 shards are gone or damaged.*--resume"):
        screened(trained, hired, counted=cut)
    assert open_run(hired.run).info.finished_at is None
    hired.answered.clear()
    assert screened(trained, hired).finished_at is not None
    assert len(hired.answered) == 8


def state_of(run: Path) -> dict[str, bytes]:
    """What may not change where nothing was agreed: the job, the shards, the run."""
    return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.suffix in KEPT}


def _no_gpu(spec: JobSpec, _: Path) -> Hired:
    if spec.settings.device == "cuda":
        raise InputError("There is no such device", "--device cuda", "Use --device cpu")
    raise AssertionError


def _stopped(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("named", "error"),
    [
        ({"selection": Selection(pattern=("nonsense",))}, TaskError),
        ({"device": "cuda"}, InputError),
        ({"precision": "bfloat16"}, KeyboardInterrupt),
    ],
    ids=["pattern", "no GPU", "stopped while bfloat16 is looked at"],
)
def test_what_is_refused_leaves_a_finished_run_and_its_job_as_they_were(
    named: dict[str, object],
    error: type[BaseException],
    trained: Trained,
    hired: Hired,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screened(trained, hired)
    before = state_of(hired.run)
    assert len(before) > 8
    with monkeypatch.context() as patch:
        patch.setattr(agreed, "hire", _no_gpu)
        patch.setattr(precision, "check_narrow", _stopped)
        with pytest.raises(error):
            screened(trained, hired, **named)
    assert state_of(hired.run) == before
    hired.answered.clear()
    assert screened(trained, hired).counts.done == 64
    assert hired.answered == []


def test_a_refused_first_start_leaves_a_folder_that_another_can_use(
    trained: Trained, hired: Hired, monkeypatch: pytest.MonkeyPatch
) -> None:
    def moved(_: Path, __: object, ___: object, run: Path, *____: object, **_____: object) -> None:
        (run / precision.FILE).write_text("{}")
        raise UsageError("A decision moved", "--precision bfloat16", "Use --precision float32")

    with monkeypatch.context() as patch:
        patch.setattr(precision, "check_narrow", moved)
        with pytest.raises(UsageError):
            screened(trained, hired, precision="bfloat16")
    assert screened(trained, hired, resume=False).counts.done == 64


def test_a_selection_is_named_field_by_field_and_taken_back(trained: Trained, hired: Hired) -> None:
    said: list[str] = []

    def counted(selection: Selection, *, every: bool = False) -> int:
        return screened(trained, hired, selection=selection, every=every, say=said.append).counts.total

    of_both = ("note", "record")
    assert counted(Selection(pattern=of_both, limit=3)) == 3
    assert counted(Selection(limit=4)) == 4
    assert any("only note+record, at most 4. With --all" in line for line in said)
    assert counted(Selection(limit=2)) == 4
    assert any(line.startswith("2 finished cases are not selected: they stay") for line in said)
    job = read_spec(hired.run)
    assert job is not None
    assert job.selection == Selection(pattern=of_both, limit=2)
    assert 4 < counted(Selection(pattern=of_both), every=True) < 64
    assert counted(Selection(), every=True) == 64
    assert len(hired.answered) == len(set(hired.answered)) == 64


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("phase", ["precision.check_narrow", "plan.case_index", "finish.write_worklist", "a unit"])
def test_a_request_to_stop_ends_at_once_whatever_is_being_done(
    phase: str, number: int, trained: Trained, hired: Hired, monkeypatch: pytest.MonkeyPatch
) -> None:
    went_on: list[str] = []

    def asked(*_: object, **__: object) -> NoReturn:
        os.kill(os.getpid(), number)
        went_on.append(phase)
        raise AssertionError

    named: dict[str, object] = {"precision": "bfloat16"} if "narrow" in phase else {}
    with monkeypatch.context() as patch:
        room, _, name = phase.partition(".")
        if name:
            patch.setattr(f"clinic_mm.jobs.{room}.{name}", asked)
        else:
            patch.setattr(Hired, "__call__", asked)
        with pytest.raises((KeyboardInterrupt, SystemExit)) as ended:
            screened(trained, hired, **named)
    assert went_on == []
    assert ended.type is KeyboardInterrupt or ended.value.args == (143,)
    assert not hired.run.joinpath("run.json").exists() or open_run(hired.run).info.finished_at is None
    monkeypatch.setattr(precision, "check_narrow", lambda *_, **__: None)
    assert screened(trained, hired).counts.done == 64


def test_a_request_to_stop_ends_a_long_statement_of_the_ledger(tmp_path: Path) -> None:
    long = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000) SELECT max(i) FROM n"
    stop, started = stopping.Stop(), time.monotonic()
    with ledgers.opened(tmp_path) as ledger, stopping.listening(stop):
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises((ClinicError, stopping.Stopped)), stop.within(ledger), ledger.commit() as db:
            db.execute(long)
        assert (stop.signal, ledger.total()) == (signal.SIGINT, 0)
    assert time.monotonic() - started < 3


def test_long_lists_of_a_stopped_run_stay_as_they_are(
    trained: Trained, hired: Hired, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finish, "SHORT", 63)

    def counted(counts: Counts, _: int) -> None:
        if counts.done == 16:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        screened(trained, hired, counted=counted)
    assert not (hired.run / "worklist.csv").exists()
    assert open_run(hired.run).info.counts.done == 16
    assert screened(trained, hired).counts.done == 64
    assert (hired.run / "worklist.csv").exists()
