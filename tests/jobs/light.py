"""Workers that answer nothing, in a moment: what they do with a case stands in its key. Nothing heavy is imported."""

import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from clinic_mm.errors import ArtifactError
from clinic_mm.jobs.engines.base import Attempt, Bench
from clinic_mm.jobs.unit import Answered, CaseRow, Outcome, Unit
from clinic_mm.types import CaseRecord


def unit_of(number: int, *keys: str) -> Unit:
    return Unit(number, tuple(CaseRecord(case_key=k, patient_key=k, decision_time=None) for k in keys), AT)


AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


def bench(
    seen: Path | None = None, *, workers: int = 2, limit_s: float = 60.0, model: bool = True, address: str = ""
) -> Bench:
    return Bench(partial(hire if model else no_model, seen), workers, limit_s, address)


def hire(seen: Path | None) -> Attempt:
    return partial(attempt, seen)


def no_model(seen: Path | None) -> Attempt:
    del seen
    raise ArtifactError("The model changed", "model", "Mend")


def attempt(seen: Path | None, unit: Unit) -> Outcome:
    for case in unit.cases:
        act: Callable[[], object] = {"kills": _kill, "hangs": _hang}.get(case.case_key.split("_")[0], int)
        act()
    if seen is not None:
        (seen / f"{unit.number}.{os.getpid()}").touch()
    rows = tuple(CaseRow(c.case_key, "skipped", silent=False, urgency=0.5, pattern="", reason="") for c in unit.cases)
    return Answered(unit.number, rows, None, 0.5)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _hang() -> None:
    time.sleep(600)
