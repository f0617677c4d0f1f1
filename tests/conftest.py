"""What every test shares: no network but loopback, and the real data where it is present."""

import gc
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest

DATA = Path(os.environ.get("CLINIC_MM_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # started in the background of a shell: Ctrl-C is tested all the same
    signal.signal(signal.SIGINT, signal.default_int_handler)
LOOPBACK = ("127.", "::1", "localhost")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with the reason, what needs real files where there are none."""
    if DATA.is_dir():
        return
    for item in items:
        if item.get_closest_marker("realdata"):
            item.add_marker(pytest.mark.skip(reason="no real data: set CLINIC_MM_DATA to their folder"))


def pytest_collection_finish() -> None:
    """Modules and tests never become garbage: the collector need not go through them again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real files, read in place."""
    return DATA


@dataclass(frozen=True, slots=True)
class Trained:
    """A SIMULATED cohort in real file formats, and a small model of it: what the commands work on."""

    files: Path
    key: Path
    cohort: Path
    task: Path
    model: Path
    model_hash: str


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Made once per process, in a few seconds: 64 cases, X-ray, record and note, no network, 40 % left for testing.

    With this seed two X-rays come after the decision; one case is left with nothing, since its only file is lost.
    """
    from threadpoolctl import threadpool_limits

    from clinic_mm.cohort.ingest import ingest
    from clinic_mm.cohort.public import public_key
    from clinic_mm.simulate.cohort import write_cohort
    from clinic_mm.task import read_task
    from clinic_mm.training.train import train

    root = tmp_path_factory.mktemp("trained")
    files, key = root / "files", public_key(root / "key")  # no secret: the same folds in every run
    write_cohort(files, cases=64, seed=1, rate=0.4, modalities=("xray", "record", "note"))
    task = files / "task.toml"
    with task.open("a", encoding="utf-8") as file:
        file.write("folds = 2\n[train]\nepochs = 0\nthreads = 1\n")
    cohort = ingest(files, root / "cohort", key=key)
    alone = next(case for case in cohort.cases("label") if case.pattern == ("xray",))
    for lost in alone.usable("xray")[0].paths:
        (cohort.roots["dicom"] / lost).unlink()
    with threadpool_limits(1):  # small problems: on a shared machine, threads wait for each other
        _, model_hash = train(cohort, read_task(task), root / "model", test_share=0.4)
    return Trained(files, key, cohort.path, task, root / "model", model_hash)


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and not str(address[0]).startswith(LOOPBACK):
            message = f"a test tried to reach {address[0]}"
            raise AssertionError(message)
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)
