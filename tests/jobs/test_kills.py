"""Five SIGKILLs of the real command: nothing is lost, doubled or damaged. `benchmarks.kills` does two hundred."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.kills import Killing, shards
from clinic_mm.report.run import open_run
from tests.conftest import Trained


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kills", [5, pytest.param(60, marks=pytest.mark.long)])
def test_a_run_that_is_killed_again_and_again_ends_like_one_that_was_not(
    kills: int, trained: Trained, tmp_path: Path
) -> None:
    killing = Killing(trained.model, trained.cohort, tmp_path, kills, workers=1)
    killing.run()
    assert killing.left.total() >= kills
    assert killing.ended >= 1
    assert killing.wrong.total() == 0, killing.wrong


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.long)]
)
def test_a_request_to_stop_ends_the_command_within_5_s_with_its_own_exit_code(
    number: signal.Signals, code: int, trained: Trained, tmp_path: Path
) -> None:
    words = f"screen {trained.model} {trained.cohort} --out {tmp_path / 'run'} --workers 1 --unit 4".split()
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "clinic_mm.cli", *words], stderr=subprocess.PIPE, text=True
    ) as command:
        while command.poll() is None and not shards(tmp_path / "run"):
            time.sleep(0.02)
        command.send_signal(number)
        started = time.monotonic()
        _, said = command.communicate()
        assert time.monotonic() - started < 5
    assert command.returncode == code, said
    assert "--resume" in said
    assert open_run(tmp_path / "run").info.finished_at is None
