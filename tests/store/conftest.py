"""A store with a clock of its own, over a made-up run: SQLite in a temporary folder."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clinic_mm.report.run import Counts, ModelOf, RunInfo, write_run, write_shard
from clinic_mm.store import Store, open_store
from tests.report.predictions import made_up

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
SCORES = {"c01": 2.0, "c02": -1.0, "c03": 0.4, "c04": -3.0, "c05": 1.0, "c06": -0.2}


class Clock:
    """Says what it is told."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def later(self, **more: float) -> datetime:
        self.now += timedelta(**more)
        return self.now


def write_made_run(
    folder: Path, scores: dict[str, float], *, run_id: str = "r1", shard: int = 0, target: str = "disease"
) -> Path:
    """One shard more in a run folder; a score of None abstains."""
    predictions = [made_up(key, {"ct": score, "record": 0.3}) for key, score in scores.items()]
    labels: dict[str, int | None] = {key: int(score > 0) for key, score in scores.items()}
    write_shard(predictions, folder / "shards" / "day=2026-03-02" / f"part-{shard:08d}.parquet", labels)
    info = RunInfo(
        run_id=run_id,
        model=ModelOf(path="model", hash="a" * 64, name="disease"),
        cohort="../cohort",
        target=target,
        classes=("negative", "positive"),
        modalities={"ct": "ct", "record": "record"},
        counts=Counts(done=len(scores)),
        finished_at=START,
    )
    write_run(info, folder)
    return folder


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six answered cases."""
    return write_made_run(tmp_path_factory.mktemp("run"), SCORES)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def imported(tmp_path_factory: pytest.TempPathFactory, run: Path) -> Path:
    """A folder with a store that has the run and two readers; it is copied, never written."""
    folder = tmp_path_factory.mktemp("store")
    with open_store(str(folder / "store.sqlite"), heads=folder / "heads", clock=Clock()) as store:
        store.import_run(run)
        store.users.add("Ann", ["reader", "signer"])
        store.users.add("Bo", ["reader"])
    return folder


@pytest.fixture
def store(tmp_path: Path, imported: Path, clock: Clock) -> Iterator[Store]:
    """A copy of it."""
    shutil.copytree(imported, tmp_path / "room")
    with open_store(str(tmp_path / "room" / "store.sqlite"), heads=tmp_path / "room" / "heads", clock=clock) as opened:
        yield opened


def user_id(store: Store, name: str) -> str:
    found = store.users.by_name(name)
    assert found is not None
    return found.id


@pytest.fixture
def ann(store: Store) -> str:
    return user_id(store, "ann")


@pytest.fixture
def bo(store: Store) -> str:
    return user_id(store, "bo")
