"""Count what becomes of mutated files, in a process of its own: no crash, no hang, no raw exception, little memory.

In:  a module with `run(n, seed) -> dict` (what `Gate.result` returns), and how many files it should mutate.
Out: what was refused with which code, read the same, flagged, or changed quietly; the slowest; the peak of memory.

    result = apart("tests.fuzz.test_dicom", n=500, seed=1)
    check(result, n=500)

A process of its own, so that a crash is an answer, a hang ends, and memory is not that of the other tests.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Literal

from clinic_mm.errors import EvidenceError

SLOWEST_S: Final = 10.0
MOST_MB: Final = 500.0
ROOT: Final = Path(__file__).resolve().parents[2]
Verdict = tuple[Literal["equal", "flagged", "quiet"], str]
"""`equal`: read as before. `flagged`: read otherwise, and a flag says so. `quiet`: read otherwise, and why no one
could tell."""


class Gate:
    """Tries one mutated file after another and keeps count."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        self.flagged: Counter[str] = Counter()
        self.quiet: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.raw: list[str] = []
        self.examples: dict[str, str] = {}
        self.equal = self.mutated = 0
        self.last_s = self.slowest_s = self.peak_mb = 0.0
        self.slowest = self.last_code = ""
        self.started = time.monotonic()

    def attempt(self, name: str, read: Callable[[], Verdict]) -> None:
        """Read one mutated file; `name` says what was done to it, for the report of a fault."""
        began = time.monotonic()
        self.mutated += 1
        self.last_code = ""
        self.kinds[name.partition(":")[0]] += 1
        try:
            verdict, why = read()
        except EvidenceError as fault:
            self.refused[fault.code] += 1
            self.last_code = fault.code
        except BaseException as fault:
            if isinstance(fault, KeyboardInterrupt | SystemExit):
                raise
            self.raw.append(f"{self.mutated}: {name}: {type(fault).__name__}: {fault}")
        else:
            self.equal += verdict == "equal"
            if verdict != "equal":
                self.examples[why] = name
                (self.flagged if verdict == "flagged" else self.quiet)[why] += 1
        self.last_s = time.monotonic() - began
        if self.last_s > self.slowest_s:
            self.slowest_s, self.slowest = self.last_s, name
        self.peak_mb = max(self.peak_mb, peak_mb())

    def add(self, other: "Gate") -> None:
        """Take in what another one counted."""
        for name in ("refused", "flagged", "quiet", "kinds"):
            getattr(self, name).update(getattr(other, name))
        self.mutated, self.equal = self.mutated + other.mutated, self.equal + other.equal
        self.raw += other.raw
        self.examples |= other.examples
        self.peak_mb = max(self.peak_mb, other.peak_mb)
        if other.slowest_s > self.slowest_s:
            self.slowest_s, self.slowest = other.slowest_s, other.slowest

    def result(self) -> dict[str, Any]:
        """Everything counted, as JSON takes it; counts from the most frequent to the least."""
        counters = {name: dict(getattr(self, name).most_common()) for name in ("refused", "flagged", "quiet", "kinds")}
        plain = {
            name: getattr(self, name)
            for name in ("mutated", "equal", "raw", "examples", "slowest_s", "slowest", "peak_mb")
        }
        return {**plain, **counters, "seconds": time.monotonic() - self.started}


def apart(module: str, n: int, seed: int, *, seconds: float = 270.0) -> dict[str, Any]:
    """`module.run(n, seed)` in a process of its own; a crash or a hang of it is the `died` of the result."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.fuzz.gate", module, str(n), str(seed)]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        ended = subprocess.run(  # noqa: S603 - our own module
            command, cwd=ROOT, env={**os.environ, **threads}, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return {"died": f"not done after {seconds:g} s"}
    if ended.returncode:
        return {"died": f"exit code {ended.returncode}: {ended.stderr.decode()[-2000:]}"}
    return dict(json.loads(ended.stdout.splitlines()[-1]))


def check(result: dict[str, Any], n: int, quiet: frozenset[str] = frozenset()) -> None:
    """What the gate asks of every reader.

    Args:
        result: Of `apart`.
        n: How many files should have been mutated.
        quiet: The changes that no reader could notice, each by its reason; any other one fails.
    """
    assert "died" not in result, result["died"]
    assert result["raw"] == []
    assert result["mutated"] >= n
    assert result["slowest_s"] < SLOWEST_S, result["slowest"]
    assert result["peak_mb"] < MOST_MB
    assert set(result["quiet"]) <= quiet, result["examples"]


def peak_mb(pid: int | str = "self") -> float:
    """Peak of resident memory of a process or of one of its children, whichever is more, in MB.

    Not from getrusage, which counts what the parent held before it started this process.
    """
    own = _high_water_mb(pid)
    try:
        children = [c for task in Path(f"/proc/{pid}/task").iterdir() for c in (task / "children").read_text().split()]
    except OSError:
        children = []
    return max([own, *(peak_mb(child) for child in children)])


def _high_water_mb(pid: int | str) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has ended meanwhile
        return 0.0
    return next((float(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def main() -> None:
    """`python -m tests.fuzz.gate MODULE N SEED`: one line of JSON on stdout."""
    module, n, seed = sys.argv[1:]
    sys.stdout.write(json.dumps(import_module(module).run(int(n), int(seed))) + "\n")


if __name__ == "__main__":
    main()
