"""What every engine keeps to: each unit comes back once, a vanished worker costs its own unit alone, nothing hangs."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clinic_mm.errors import UsageError
from clinic_mm.jobs.engines.base import ENGINES, Engine, make_engine
from clinic_mm.jobs.unit import Answered, Broken, Died, Outcome, Unit
from tests.jobs.light import bench, unit_of

PATIENCE_S = 120.0


def through(engine: Engine, units: list[Unit]) -> dict[int, Outcome]:
    """Every unit through an engine, never more inside than there are places."""
    found: dict[int, Outcome] = {}
    waiting, inside, until = list(units), 0, time.monotonic() + PATIENCE_S
    while waiting or inside:
        assert time.monotonic() < until, "units were lost"
        while waiting and inside < engine.slots:
            engine.submit(waiting.pop(0))
            inside += 1
        for outcome in engine.wait(0.2):
            assert outcome.number not in found
            found[outcome.number] = outcome
            inside -= 1
    return found


@pytest.mark.parametrize("name", ["inline", "local"])
def test_every_unit_comes_back_once(name: str, tmp_path: Path) -> None:
    engine = make_engine(name, bench(tmp_path))
    try:
        found = through(engine, [unit_of(n, f"ok_{n}", f"ok_{n}b") for n in range(7)])
    finally:
        engine.stop()
        engine.stop()
    assert set(found) == set(range(7))
    assert all(isinstance(one, Answered) for one in found.values())
    assert sorted(int(p.name.split(".")[0]) for p in tmp_path.iterdir()) == list(range(7))


def test_a_worker_that_is_killed_or_hangs_costs_its_own_unit_alone(tmp_path: Path) -> None:
    engine = make_engine("local", bench(tmp_path, limit_s=12.0))
    try:
        keys = ["ok_0", "kills_1", "ok_2", "hangs_3", "ok_4", "ok_5"]
        found = through(engine, [unit_of(n, key) for n, key in enumerate(keys)])
    finally:
        engine.stop()
    died = {n: one.why for n, one in found.items() if isinstance(one, Died)}
    assert died == {1: "the worker process vanished", 3: "it took longer than 12 s"}
    assert len({path.name.split(".")[1] for path in tmp_path.iterdir()} - {str(os.getpid())}) >= 2


@pytest.mark.parametrize("name", ["inline", "local"])
def test_what_no_unit_can_be_done_with_is_told_as_it_is(name: str) -> None:
    engine = make_engine(name, bench(workers=1, model=False))
    try:
        (outcome,) = through(engine, [unit_of(0, "ok")]).values()
    finally:
        engine.stop()
    assert isinstance(outcome, Broken)
    assert str(outcome.error) == "The model changed [model]. Mend"


def test_stopping_takes_no_time_whatever_is_being_done() -> None:
    engine = make_engine("local", bench())
    engine.submit(unit_of(0, "hangs_0"))
    engine.submit(unit_of(1, "hangs_1"))
    started = time.monotonic()
    engine.stop()
    assert time.monotonic() - started < 5


def test_workers_end_with_a_driver_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\n"
        "from clinic_mm.jobs.engines.base import make_engine\nfrom tests.jobs.light import bench, unit_of\n"
        "if __name__ == '__main__':\n"
        "    engine = make_engine('local', bench(Path(sys.argv[1]), workers=1))\n"
        "    engine.submit(unit_of(0, 'ok'))\n    while not engine.wait(1.0): pass\n"
        "    engine.submit(unit_of(1, 'hangs'))\n    print('ready', flush=True)\n    time.sleep(600)\n"
    )
    (tmp_path / "driver.py").write_text(program)
    command = [sys.executable, str(tmp_path / "driver.py"), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.getcwd()}) as driver:  # noqa: S603, PTH109
        assert driver.stdout is not None
        assert driver.stdout.readline() == b"ready\n"
        worker = int(next(tmp_path.glob("0.*")).name.split(".")[1])
        driver.kill()
    until = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{worker}/stat").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}/stat").exists()


def test_an_unknown_engine_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'local'"):
        make_engine("locale", bench())
    assert {"inline", "local"} <= set(ENGINES)
