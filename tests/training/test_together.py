"""Two processes train one encoder: alike in both, near what one process fits, and killed they go on."""

import os
import socket
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from clinic_mm.encoders.base import Encoder
from clinic_mm.errors import UsageError
from clinic_mm.task import Budget
from clinic_mm.training import steps
from clinic_mm.training.encode import train_encoder
from clinic_mm.training.resume import Work, working
from clinic_mm.training.together import Share, in_parts, share_named, together
from tests import made

BUDGET = Budget(epochs=2, batch=16, threads=1)


def _encoder(seed: int = 3) -> Encoder:
    cases = made.prepared(("xray",), 40, missing=0.0)
    return train_encoder("xray", cases.x["xray"], cases.labels, 2, size="tiny", budget=BUDGET, seed=seed)


def _weights(encoder: Encoder) -> np.ndarray:
    return torch.cat([p.detach().flatten() for p in encoder.parameters()]).numpy()


def _two(work: Callable[[int], None], share: Share) -> list[int]:
    """Exit codes of two processes that work together over the loopback, as torchrun would start them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    pids = []
    for rank in range(2):
        pids.append(os.fork())
        if pids[-1] == 0:
            code = 1
            try:
                os.environ.update({**told, "RANK": str(rank)})
                torch.set_num_threads(1)
                with together(share):
                    work(rank)
                code = 0
            except BaseException:  # noqa: BLE001 - what went wrong is to be seen
                traceback.print_exc()
            finally:
                os._exit(code)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def test_shares_of_batches_average_to_the_whole_and_a_kill_changes_nothing(tmp_path: Path) -> None:
    torch.set_num_threads(1)

    def fit(rank: int) -> None:
        with working(Work(tmp_path / "work", 0)):
            np.save(tmp_path / f"{rank}.npy", _weights(_encoder()))

    def dies(rank: int) -> None:
        step = steps._Course.step

        def mortal(course: steps._Course[object]) -> None:
            if course.done == 2:
                os._exit(9)
            step(course)

        steps._Course.step = mortal  # type: ignore[assignment, method-assign]
        fit(rank)

    assert _two(dies, "batch") == [9, 9]
    assert _two(fit, "batch") == [0, 0]
    first, second = (np.load(tmp_path / f"{rank}.npy") for rank in range(2))
    assert (first == second).all()
    for kept in (tmp_path / "work").iterdir():
        kept.unlink()
    assert _two(fit, "batch") == [0, 0]
    assert (np.load(tmp_path / "0.npy") == first).all()  # never killed
    np.testing.assert_allclose(first, _weights(_encoder()), atol=2e-3)
    assert not (first == _weights(_encoder())).all()


def test_parts_are_those_of_one_process_bit_for_bit(tmp_path: Path) -> None:
    torch.set_num_threads(1)

    def fit(rank: int) -> None:
        told: list[str] = []
        with working(Work(tmp_path / "work", 0, lambda event, _: told.append(event))):
            in_parts([lambda: _encoder(1), lambda: _encoder(2)])
            assert told.count("fitted") == 1
            np.save(tmp_path / f"{rank}.npy", np.stack([_weights(_encoder(1)), _weights(_encoder(2))]))
            assert told.count("fitted") == 1

    assert _two(fit, "parts") == [0, 0]
    alone = np.stack([_weights(_encoder(1)), _weights(_encoder(2))])
    assert all((np.load(tmp_path / f"{rank}.npy") == alone).all() for rank in range(2))


def test_an_unknown_way_to_share_is_refused() -> None:
    with pytest.raises(UsageError, match="parts, batch"):
        share_named("rows")
