"""The engine dask: the contract of engines, and the real worker."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clinic_mm.jobs.engines.base import make_engine
from clinic_mm.jobs.unit import Answered, Broken, Died
from tests.conftest import Trained
from tests.jobs.light import bench, unit_of
from tests.jobs.same_rows import assert_same_rows
from tests.jobs.test_engines import through

distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
# Dask leaves sockets and event loops to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster as somebody else has started it: two workers of one thread, and no failure allowed."""
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
    ):
        yield cluster.scheduler_address


def test_a_worker_that_is_killed_costs_its_own_unit_alone_on_this_machine(tmp_path: Path) -> None:
    engine = make_engine("dask", bench(tmp_path))
    try:
        found = through(engine, [unit_of(n, key) for n, key in enumerate(["ok_0", "kills_1", "ok_2", "ok_3", "ok_4"])])
    finally:
        engine.stop()
        engine.stop()
    assert {n: type(one) for n, one in found.items()} == {n: Died if n == 1 else Answered for n in range(5)}
    assert sorted(int(path.name.split(".")[0]) for path in tmp_path.iterdir()) == [0, 2, 3, 4]


def test_what_no_unit_can_be_done_with_is_told_as_it_is(address: str) -> None:
    engine = make_engine("dask", bench(workers=1, model=False, address=address))
    try:
        (outcome,) = through(engine, [unit_of(0, "ok")]).values()
    finally:
        engine.stop()
    assert isinstance(outcome, Broken)
    assert str(outcome.error) == "The model changed [model]. Mend"


@pytest.mark.long
def test_rows_are_those_of_one_worker_to_the_bit(address: str, trained: Trained, tmp_path: Path) -> None:
    assert_same_rows("dask", trained, tmp_path, address)
