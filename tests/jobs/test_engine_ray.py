"""The engine ray: the contract of engines, the real worker, and kills of actor, node and driver."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.kills import Killing
from clinic_mm.errors import ClinicError
from clinic_mm.jobs.engines.base import Attempt, Bench, make_engine
from clinic_mm.jobs.unit import Answered, Broken, Died
from tests.conftest import Trained
from tests.jobs.light import bench, unit_of
from tests.jobs.same_rows import assert_same_rows
from tests.jobs.test_engines import through

ray = pytest.importorskip("ray", reason="the extra ray is not installed")
# Ray leaves the processes that it started, and their pipes, to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
BUSY = 4
"""So many processes that want each core at once."""


@pytest.fixture(scope="module")
def here() -> Iterator[None]:
    """Starting Ray takes seconds: the first engine starts it, those of the tests use it and leave it running."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        first = make_engine("ray", bench())
    except ClinicError:
        if os.getloadavg()[0] < BUSY * (os.cpu_count() or 1):
            raise
        pytest.skip("this machine is too busy: Ray gives its own processes 15 to 30 s to start")
    assert signal.getsignal(signal.SIGTERM) is before
    yield
    assert ray.is_initialized()
    first.stop()
    first.stop()
    assert not ray.is_initialized()


@pytest.mark.long
@pytest.mark.usefixtures("here")
def test_a_worker_that_is_killed_or_hangs_costs_its_own_unit_alone(tmp_path: Path) -> None:
    engine = make_engine("ray", bench(tmp_path, limit_s=8.0))
    try:
        keys = ["ok_0", "kills_1", "ok_2", "hangs_3", "ok_4", "ok_5"]
        found = through(engine, [unit_of(n, key) for n, key in enumerate(keys)])
    finally:
        engine.stop()
    died = {n: one.why for n, one in found.items() if isinstance(one, Died)}
    assert died == {1: "the worker vanished (ActorDiedError)", 3: "it took longer than 8 s"}
    assert {n for n, one in found.items() if isinstance(one, Answered)} == {0, 2, 4, 5}
    assert sorted(int(path.name.split(".")[0]) for path in tmp_path.iterdir()) == [0, 2, 4, 5]


@pytest.mark.usefixtures("here")
def test_what_no_unit_can_be_done_with_is_told_as_it_is() -> None:
    engine = make_engine("ray", bench(workers=1, model=False))
    try:
        (outcome,) = through(engine, [unit_of(0, "ok")]).values()
    finally:
        engine.stop()
    assert isinstance(outcome, Broken)
    assert str(outcome.error) == "The model changed [model]. Mend"


@dataclass
class NotInstalledThere:
    """A worker that other processes cannot unpack, as on a machine without clinic_mm."""

    def __call__(self) -> Attempt:
        raise NotImplementedError

    def __reduce__(self) -> tuple[Callable[[int], object], tuple[int]]:
        return unpacked, (os.getpid(),)


def unpacked(packed_in: int) -> NotInstalledThere:
    if os.getpid() != packed_in:
        raise ModuleNotFoundError
    return NotInstalledThere()


@pytest.mark.long
@pytest.mark.usefixtures("here")
def test_where_no_worker_can_be_started_the_job_does_not_wait_for_ever() -> None:
    engine = make_engine("ray", Bench(NotInstalledThere(), workers=1))
    try:
        (outcome,) = through(engine, [unit_of(0, "ok")]).values()
    finally:
        engine.stop()
    assert isinstance(outcome, Broken)
    assert "Ray starts no worker" in str(outcome.error)


@pytest.mark.usefixtures("here")
def test_rows_are_those_of_one_worker_to_the_bit(trained: Trained, tmp_path: Path) -> None:
    assert_same_rows("ray", trained, tmp_path)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_driver_that_is_killed_again_and_again_loses_and_doubles_nothing(trained: Trained, tmp_path: Path) -> None:
    killing = Killing(trained.model, trained.cohort, tmp_path, kills=3, engine="ray")
    killing.run()
    assert killing.ended >= 1
    assert killing.wrong.total() == 0, killing.wrong
