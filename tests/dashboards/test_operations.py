"""The page of operators: one glance says whether all is well, else what to do; of a run as it stands in its ledger."""

import os
import re
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from clinic_mm.bundle import folder
from clinic_mm.evaluate.monitor.state import FILE as MONITOR
from clinic_mm.evaluate.monitor.state import write_state
from clinic_mm.jobs import ledger, lock
from clinic_mm.jobs.spec import JobSpec, write_spec
from clinic_mm.jobs.taking_in import FILE as TAKEN_IN
from clinic_mm.jobs.taking_in import Looked
from clinic_mm.jobs.unit import Answered, CaseRow, Died, Unit, Why
from clinic_mm.store.values import Role
from clinic_mm.types import CaseRecord
from tests.dashboards.test_monitor import MEND, SAID, state_of, stop
from tests.dashboards.test_pages import texts
from tests.signed_in import signed_in

NOW = datetime.now(UTC)
KEYS = [f"case{at}" for at in range(12)]
KILLED = """
import os, signal, sys, pathlib
from clinic_mm.jobs.lock import only_driver
with only_driver(pathlib.Path(sys.argv[1])):
    os.kill(os.getpid(), signal.SIGKILL)
"""
Open = Callable[[], AppTest]


def unit(number: int, *keys: str) -> Unit:
    return Unit(number, tuple(CaseRecord(case_key=key, patient_key=key, decision_time=None) for key in keys), NOW)


def answered(number: int, keys: list[str], state: str = "done", *whys: Why) -> Answered:
    rows = tuple(CaseRow(key, state, silent=False, urgency=0.5, pattern="ct", reason="", whys=whys) for key in keys)
    return Answered(number, rows, None, 0.3)


@pytest.fixture
def run(made_run: Path, tmp_path: Path) -> Path:
    """A run in the middle: 6 of 12 answered, 2 skipped with a reason, 4 handed out."""
    run = shutil.copytree(made_run, tmp_path / "run")
    spec = JobSpec(
        run_id="r1", model="/models/m 1", model_hash="a" * 64, cohort="/cohorts/c", cohort_hash="b" * 64, created_at=NOW
    )
    write_spec(spec, run)
    with ledger.opened(run) as book:
        with book.commit() as db:
            rows = [(key, at, "h", at // 2) for at, key in enumerate(KEYS)]
            db.executemany("INSERT INTO cases (case_key, place, input_hash, unit) VALUES (?, ?, ?, ?)", rows)
            book.note("unfinished", "1")
        for number in range(3):
            book.record([(answered(number, KEYS[2 * number : 2 * number + 2]), "m", "s")], [])
        why = Why("rejected", "ct", "ct.missing_slices", "4 of 48 slices are missing")
        book.record([(answered(3, KEYS[6:8], "skipped", why), "m", "s")], [unit(4, *KEYS[8:10]), unit(5, *KEYS[10:])])
    return run


@pytest.fixture
def opens(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., AppTest]]:
    """Open the page as somebody with these roles."""
    with ExitStack() as stack:

        def opened(*roles: Role) -> AppTest:
            stack.enter_context(signed_in(monkeypatch, tmp_path / "home", run, roles or ("admin",)))
            test = AppTest.from_file(str(folder("dashboards") / "app.py"), default_timeout=180)
            return test.switch_page("views/operations.py").run()

        yield opened


def tables(test: AppTest) -> str:
    grids = "\n".join(one.value.to_csv() for one in test.dataframe)
    return grids + "\n".join(re.sub(r"\\(.)", r"\1", one.value.to_csv()) for one in test.table)


def figures(test: AppTest) -> dict[str, str]:
    return {one.label: one.value for one in test.metric}


def test_a_run_at_work_has_a_pace_and_nothing_to_act_on(run: Path, opens: Callable[..., AppTest]) -> None:
    with lock.only_driver(run):
        test = opens()
    assert not test.exception
    assert "Nothing to act on now" in texts(test)
    shown = figures(test)
    assert (shown["Driver"], shown["In work"], shown["Waiting"], shown["Skipped"]) == ("alive", "4 cases", "4", "2")
    assert shown["Pace"].endswith("cases/h")
    assert "ct.missing_slices" in tables(test)
    assert "4 of 48" in tables(test)


def test_a_killed_driver_is_to_act_on_with_the_command_that_goes_on(run: Path, opens: Callable[..., AppTest]) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(run)], check=False)  # noqa: S603 - our own lines
    test = opens()
    assert "Act now: 1" in texts(test)
    assert "Nobody works on the run, and 4 cases wait" in texts(test)
    assert figures(test)["Driver"] == "gone"
    assert next(one.value for one in test.code) == (f"clinic-mm screen '/models/m 1' /cohorts/c --out {run} --resume")
    with lock.only_driver(run, ".watch.lock"):  # a watch goes on by itself
        assert "Act now" not in texts(test.run())


def test_a_poison_case_is_named_with_its_tries(run: Path, opens: Callable[..., AppTest]) -> None:
    with ledger.opened(run) as book:
        book.split(unit(4, *KEYS[8:10]))
        for tries in range(3):
            poison = Unit(6, unit(6, KEYS[8]).cases, NOW, tries)
            book.died(poison, Died(6, "its worker was killed"))
    with lock.only_driver(run):
        test = opens()
    assert "1 case failed or killed a worker three times" in texts(test)
    assert f"{KEYS[8]},left alone,3," in tables(test)
    assert "its worker was killed, 3 times" in tables(test)


def test_a_nearly_full_disk_and_a_damaged_ledger_come_first(
    run: Path, opens: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100 * 10**9, 0, 5 * 10**8))
    with lock.only_driver(run):
        test = opens()
        assert "Act now: 1" in texts(test)
        assert "Run: 500.0 MB of 100.0 GB are free" in texts(test)
        for left in run.glob("ledger.sqlite-*"):
            left.unlink()
        (run / ledger.FILE).write_bytes(b"SQLite format 3\0" + b"x" * 4096)
        (run / "run.json").touch()
        test = test.run()
    assert "The ledger is damaged" in texts(test)
    assert "its last copy takes its place" in texts(test)


def test_what_monitoring_stopped_and_monitoring_that_stopped(run: Path, opens: Callable[..., AppTest]) -> None:
    write_state(state_of(stop("modality", "ct")), run)
    long_ago = (NOW - timedelta(days=3)).timestamp()
    os.utime(run / MONITOR, (long_ago, long_ago))
    with lock.only_driver(run):
        test = opens()
    assert f"{SAID}, and hides answers" in texts(test)
    assert MEND in texts(test)
    assert "Monitoring last looked at" in texts(test)


@pytest.mark.long  # two processes that verify
@pytest.mark.timeout(900)
def test_the_room_says_when_nothing_comes_in_and_when_its_audit_is_not_whole(
    run: Path, opens: Callable[..., AppTest], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    with lock.only_driver(run):
        test = opens()
        assert "The audit was never verified here" in texts(test)
        test.button(key="verify-audit").click().run()
        assert any("Whole, " in str(one.value) for one in test.success)
        test.run()
        assert "never verified" not in texts(test)
        (home / TAKEN_IN).write_text(Looked(at=NOW - timedelta(hours=1)).model_dump_json())
        from guard import room

        with room.opened().store.db.engine.begin() as db:
            db.exec_driver_sql("DROP TRIGGER audit_no_update")
            db.exec_driver_sql("UPDATE audit SET act = 'other' WHERE number = 2")
        test.button(key="verify-audit").click().run()
        assert "audit.changed" in tables(test)
        test.run()
    assert "Nobody takes answers into the room since" in texts(test)
    assert "The audit is not whole" in texts(test)


def test_who_is_no_administrator_is_shown_nothing(run: Path, opens: Callable[..., AppTest]) -> None:
    test = opens("viewer", "reader", "signer", "scientist")
    assert "Operations" not in texts(test)
    assert str(run) not in texts(test) + tables(test)
