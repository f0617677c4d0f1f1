"""No worker outlives a parent that was killed, whether it works or waits for work."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DRIVER = """
import sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from clinic_mm.worker_process import begin

pool = ProcessPoolExecutor(2, mp_context=get_context("spawn"), initializer=begin)
for begun in [pool.submit(time.sleep, 1) for _ in range(2)]:
    begun.result()
WORK
print(*pool._processes, flush=True)
time.sleep(120)
"""
WORKING = """
[pool.submit(time.sleep, 120) for _ in range(2)]
time.sleep(1)
assert pool._call_queue.empty()
"""


def _lives(pid: int) -> bool:
    """A process that has ended, and that nobody has asked after yet, does not live."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("work", [WORKING, ""], ids=["working", "waiting"])
def test_workers_end_with_a_parent_that_is_killed(work: str) -> None:
    driver = DRIVER.replace("WORK", work)
    with subprocess.Popen([sys.executable, "-c", driver], stdout=subprocess.PIPE, text=True) as parent:  # noqa: S603
        assert parent.stdout is not None
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(workers) == 2
        assert all(map(_lives, workers))
        parent.send_signal(signal.SIGKILL)
    until = time.monotonic() + 30
    while any(map(_lives, workers)) and time.monotonic() < until:
        time.sleep(0.05)
    left = [pid for pid in workers if _lives(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left
