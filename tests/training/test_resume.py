"""A training that is killed goes on where it was: the same bytes at the end, whatever the step, nothing left over."""

import errno
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.encoders.base import Encoder
from clinic_mm.errors import StoppedError
from clinic_mm.predict.artifact import save_model
from clinic_mm.predict.sealed import MANIFEST, MARK
from clinic_mm.prep.cache import open_cache
from clinic_mm.task import Budget, read_task
from clinic_mm.training import fit, residual, resume, steps
from clinic_mm.training.encode import train_encoder
from clinic_mm.training.fit import fit_model
from clinic_mm.training.methods import coordinated
from clinic_mm.training.resume import Part, Work, working
from clinic_mm.training.resume_state import packed, unpacked
from clinic_mm.training.session import Keep, work_folder
from clinic_mm.training.train import Resources, train
from tests import made
from tests.conftest import Trained
from tests.quick import few_steps, without_trees

BUDGET = Budget(epochs=2, batch=16, threads=1)


@pytest.fixture
def _no_trees() -> Iterator[None]:
    with without_trees():
        yield


class KilledError(Exception):
    """Stands for a kill where the process is to live on."""


def _encoder(kind: str = "record", **more: object) -> Encoder:
    cases = made.prepared((kind,), 40, missing=0.0)
    budget = BUDGET.model_copy(update=more)
    return train_encoder(kind, cases.x[kind], cases.labels, 2, size="tiny", budget=budget, seed=3)


def _bytes(module: nn.Module) -> bytes:
    return packed(module.state_dict())


def _killed_after(n: int, work: Callable[[], object]) -> None:
    """Work that ends at its n-th step."""
    step, left = steps._Course.step, [n]

    def mortal(course: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KilledError
        step(course)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps._Course, "step", mortal)
        with pytest.raises(KilledError):
            work()


def test_a_state_comes_back_as_the_same_bits() -> None:
    state = {
        "a": torch.tensor([float("nan"), -0.0, 1e-45]),
        "b": [np.arange(3), {"big": 2**127 - 1, "none": None, "inf": float("inf"), "third": 1 / 3}],
        "c": torch.zeros(()),
    }
    back = unpacked(packed(state))
    assert packed(back) == packed(state)
    assert back["b"][1] == state["b"][1]  # type: ignore[index]


@pytest.mark.parametrize("kind", ["record", "xray"])
@pytest.mark.parametrize("after", [3])
def test_an_encoder_killed_at_a_step_ends_with_the_same_bits(kind: str, after: int, tmp_path: Path) -> None:
    whole = _bytes(_encoder(kind))
    with working(Work(tmp_path, every_s=0)):
        _killed_after(after, lambda: _encoder(kind))
        told: list[tuple[str, Mapping[str, object]]] = []
    with working(Work(tmp_path, 0, lambda event, about: told.append((event, about)))):
        torch.manual_seed(99)  # nothing from outside reaches in
        assert _bytes(_encoder(kind)) == whole
        assert ("goes on", {"part": f"{kind} encoder", "step": after, "steps": 4}) in told
        assert _bytes(_encoder(kind)) == whole
        assert told[-1][0] == "taken again"


@pytest.mark.usefixtures("_no_trees")
@pytest.mark.parametrize("how", ["default", *(pytest.param(h, marks=pytest.mark.long) for h in ("gated", "deep_cca"))])
def test_every_fit_of_a_model_goes_on(how: str, tmp_path: Path) -> None:
    """The default with its residual; a fusion network with encoders that learn; a shared space."""
    kinds = ("record", "note")
    fusion = {"method": how, "learning": "joint" if how == "gated" else "model"}
    task = made.task(kinds, fusion=fusion, folds=2, train={"epochs": 1, "batch": 16, "threads": 1})
    cases = made.prepared(kinds, 72, missing=0.1)

    def fitted() -> str:
        return save_model(fit_model(cases, made.recipe(kinds), task), tmp_path / "model")

    with few_steps(6), pytest.MonkeyPatch.context() as patch:
        for room in (residual, coordinated):
            patch.setattr(room, "FEWEST_STEPS", 6)
            patch.setattr(room, "MOST_STEPS", 6)
        patch.setattr(fit, "FEWEST_FOR_RESIDUAL", 20)
        with working(Work(tmp_path / "work", every_s=0)):
            for after in (3, 8):
                _killed_after(after, fitted)
            resumed = fitted()
        assert resumed == fitted()


def test_bfloat16_is_near_float32_and_goes_on_too(tmp_path: Path) -> None:
    half = _encoder("xray", precision="bfloat16")
    assert {p.dtype for p in half.parameters()} == {torch.float32}
    with working(Work(tmp_path, every_s=0)):
        _killed_after(2, lambda: _encoder("xray", precision="bfloat16"))
        assert _bytes(_encoder("xray", precision="bfloat16")) == _bytes(half)
    full = dict(_encoder("xray").named_parameters())
    gap = max(float((one - full[name]).abs().max().detach()) for name, one in half.named_parameters())
    assert 0 < gap < 0.02


def test_patience_stops_where_held_patients_gain_no_more_and_takes_their_best(tmp_path: Path) -> None:
    cases = made.prepared(("record",), 100, missing=0.0)
    noise = np.random.default_rng(0).integers(0, 2, 100)
    budget = Budget(epochs=4, batch=16, threads=1, patience=2, learning_rate=5e-3)

    def fitted() -> bytes:
        groups = cases.patients
        return _bytes(
            train_encoder("record", cases.x["record"], noise, 2, size="tiny", budget=budget, seed=1, groups=groups)
        )

    whole = fitted()
    with working(Work(tmp_path, every_s=0)):
        _killed_after(5, fitted)
        assert fitted() == whole
    (path,) = tmp_path.iterdir()
    kept = unpacked(path.read_bytes())
    assert kept["over"]
    assert kept["more"]["best"]["step"] < kept["done"] < 20
    best = kept["more"]["best"]["weights"]
    assert packed(best) == whole


def test_another_setting_or_another_row_is_another_fit(tmp_path: Path) -> None:
    with working(Work(tmp_path)):
        _encoder()
        assert len(list(tmp_path.iterdir())) == 1
        _encoder(learning_rate=2e-3)
        _encoder("note")
        assert len(list(tmp_path.iterdir())) == 3


def test_a_damaged_state_is_taken_away_and_the_fit_done_again(tmp_path: Path) -> None:
    with working(Work(tmp_path)):
        whole = _bytes(_encoder())
        (path,) = tmp_path.iterdir()
        for damage in (path.read_bytes()[:-7], b"", path.read_bytes()[:-1] + b"\xff"):
            path.write_bytes(damage)
            assert _bytes(_encoder()) == whole


@pytest.mark.parametrize("every_s", [0.0, 3600.0])
def test_a_loss_that_is_not_finite_stops_before_it_reaches_a_weight(every_s: float, tmp_path: Path) -> None:
    with (
        working(Work(tmp_path, every_s)),
        pytest.raises(StoppedError, match=r"not finite \[record encoder / step \d"),
    ):
        _encoder(learning_rate=1e30)
    (path,) = tmp_path.iterdir()
    kept = unpacked(path.read_bytes())
    assert kept["done"] >= 1
    assert all(torch.isfinite(one).all() for one in kept["module"].values())


def test_a_step_that_failed_once_is_taken_again_with_the_same_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a faulty machine computed wrongly leaves no trace: the end is that of a fit where nothing happened."""
    whole, finite, left = _bytes(_encoder()), torch.isfinite, [3]

    def fails_once(value: torch.Tensor) -> torch.Tensor:
        left[0] -= value.ndim == 0
        return finite(value) & torch.tensor(left[0] != 0)

    with working(Work(tmp_path, every_s=3600)):
        monkeypatch.setattr(steps.torch, "isfinite", fails_once)
        with pytest.raises(StoppedError, match="not finite"):
            _encoder()
        monkeypatch.undo()
        assert unpacked(next(tmp_path.iterdir()).read_bytes())["done"] == 1
        assert _bytes(_encoder()) == whole


def test_a_full_disk_keeps_the_last_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    part = Part("a fit", tmp_path / "a.state")
    part.keep({"done": 1})
    monkeypatch.setattr(resume, "written_whole", full)
    with pytest.raises(StoppedError, match="No space left"):
        part.keep({"done": 2})
    assert part.kept() == {"done": 1}


def test_no_memory_is_said_plainly(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clinic_mm.training.train.fit_model", lambda *_: torch.empty(2**60))
    with pytest.raises(StoppedError, match="No memory left"):
        train(open_cohort(trained.cohort), read_task(trained.task), tmp_path / "model", test_share=0.4)


@pytest.mark.long
def test_a_model_that_is_half_written_is_written_again_over(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / MARK).touch()
    (tmp_path / "model" / "heads.safetensors").write_bytes(b"half")
    _, made_hash = train(open_cohort(trained.cohort), read_task(trained.task), tmp_path / "model", test_share=0.4)
    assert made_hash == trained.model_hash
    assert not list((tmp_path / "model").glob(".*"))


def test_a_training_killed_at_any_moment_ends_with_the_same_bytes(trained: Trained, tmp_path: Path) -> None:
    """SIGKILL, three times at random moments, of a process that trains networks; the fourth is let finish."""
    task = read_task(trained.task).model_copy(update={"train": BUDGET})
    cache = open_cache(tmp_path / "cache", 1.0)

    use = Resources(1, cache, keep=Keep(every_s=0, runs=tmp_path / "runs"))

    def trains(out: Path) -> Callable[[], object]:
        return lambda: train(open_cohort(trained.cohort), task, out, use=use)

    begun = time.monotonic()
    assert _forked(trains(tmp_path / "whole")) == 0  # also fills the cache
    whole_s = time.monotonic() - begun
    rng, killed = np.random.default_rng(6), 0
    for _ in range(3):
        code = _forked(trains(tmp_path / "model"), kill_after_s=float(rng.uniform(0.1, 0.4) * whole_s))
        killed += code == -signal.SIGKILL
    assert killed >= 2
    assert _forked(trains(tmp_path / "model")) == 0
    assert _files(tmp_path / "model") == _files(tmp_path / "whole")
    assert not work_folder(tmp_path / "model").exists()


def _forked(work: Callable[[], object], kill_after_s: float | None = None) -> int:
    """Exit code of a process that does the work, negative for a signal."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            torch.set_num_threads(1)
            with without_trees():
                work()
            code = 0
        except BaseException:  # noqa: BLE001 - what went wrong is to be seen
            traceback.print_exc()
        finally:
            os._exit(code)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _files(model: Path) -> dict[str, bytes]:
    assert (model / MANIFEST).is_file()
    return {path.name: path.read_bytes() for path in sorted(model.iterdir())}
