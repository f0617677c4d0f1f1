"""What the ledger of a run costs: a commit per unit, the decision of a start, a page of the work list.

    python -m benchmarks.ledger --cases 1000000 --page docs/performance.md

Cases are made up: nothing is read or answered, so that the ledger is all that takes time. A start is measured as
`clinic-mm screen --resume` does it: opened, checked page by page, planned against an unchanged cohort, then asked for
what waits.
"""

import argparse
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.section import machine, write_section
from clinic_mm.jobs import ledger as ledgers
from clinic_mm.jobs import ledger_read, plan
from clinic_mm.jobs.ledger import Ledger
from clinic_mm.jobs.unit import Answered, CaseRow, Shard, Unit
from clinic_mm.types import CaseRecord

UNIT = 64
PAGES = 21
PAGE = 50


def main() -> None:
    """Measure, print, and write the section where a page is named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--page", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        told = measured(Path(folder), asked.cases)
    command = f"`python -m benchmarks.ledger --cases {asked.cases} --page docs/performance.md`, {machine()}"
    table = "\n".join(f"| {name} | {value} |" for name, value in told.items())
    head = f"{command}. Made-up cases in units of {UNIT}; nothing is read or answered."
    body = f"{head}\n\n| what | seen |\n|---|---:|\n{table}"
    print(body)
    if asked.page:
        write_section(asked.page, "Ledger of a screening run", body)


def measured(run: Path, n: int) -> dict[str, str]:
    """All figures, by what they are of."""
    rng = np.random.default_rng(0)
    keys = [f"{value:016x}" for value in rng.permutation(n).astype(np.uint64) * 2654435761]
    now = pd.DataFrame({"case_key": keys, "input_hash": keys, "wanted": True})
    told: dict[str, str] = {}
    with ledgers.opened(run) as ledger:
        planned_s = timed(lambda: plan_all(ledger, now))
        told["planning a new run"] = f"{planned_s:.1f} s"
        told["writing down what became of a case, mean"] = f"{1e3 * record_all(ledger, keys, rng) / n:.3f} ms"
    told["ledger on disk"] = f"{(run / ledgers.FILE).stat().st_size / 1e6:.0f} MB"
    told["a start decided, nothing to do"] = f"{statistics.median(start(run) for _ in range(3)):.2f} s"
    with sqlite3.connect(run / ledgers.FILE) as db:
        db.execute("UPDATE cases SET state = 'pending' WHERE unit % 100 = 7")
    told["a start decided, a hundredth to do"] = f"{statistics.median(start(run) for _ in range(3)):.2f} s"
    with ledger_read.read_only(run) as ledger:
        took = [1e3 * timed(lambda at=at: ledger.worklist(PAGE, at)) for at in places(ledger)]
        told[f"a page of {PAGE} of the work list, slowest of {PAGES}"] = f"{max(took):.1f} ms"
        told["counts of all states"] = f"{1e3 * timed(ledger.counts):.0f} ms"
    return told


def timed(act: Callable[[], object]) -> float:
    """Seconds."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def plan_all(ledger: Ledger, now: pd.DataFrame) -> None:
    """As `jobs.plan` does it, once the cohort is indexed."""
    with ledger.commit() as db:
        plan._put(db, now)
        plan._reconcile(db)
        plan._number(db, UNIT)


def record_all(ledger: Ledger, keys: list[str], rng: np.random.Generator) -> float:
    """Seconds for all units: one commit each, with the claim of the next."""
    urgency = rng.random(len(keys))
    reason = "positive 0.78, set: positive; Chest X-ray +1.36, Clinical note +0.64; missing: Patient record"
    total = 0.0
    for number in range(-(-len(keys) // UNIT)):
        mine = slice(number * UNIT, (number + 1) * UNIT)
        rows = tuple(
            CaseRow(key, "done", silent=False, urgency=float(u), pattern="note+xray", reason=reason)
            for key, u in zip(keys[mine], urgency[mine], strict=True)
        )
        shard = Shard(f"day=2026-03-02/part-{number:08d}.parquet", 1, "0" * 64, 0, len(rows))
        following = Unit(
            number + 1, (CaseRecord(case_key="c", patient_key="p", decision_time=None),), datetime.now(UTC)
        )
        ended = [(Answered(number, rows, shard, 0.5), "0" * 64, "1" * 64)]
        total += timed(lambda ended=ended, following=following: ledger.record(ended, [following]))
    return total


def start(run: Path) -> float:
    """Seconds until it is known what is to be done."""

    def decided() -> None:
        with ledgers.opened(run) as ledger, ledger.commit() as db:
            db.execute("DELETE FROM units WHERE state = 'claimed'")
            plan._again(db, [], retry=False)
            plan._number(db, UNIT)
            ledger.unit_sizes()
            ledger.pending_keys()
            ledger.counts()

    return timed(decided)


def places(ledger: Ledger) -> Iterator[tuple[float, str] | None]:
    """Ends of pages, spread over the list, the first page among them."""
    yield None
    for urgency in np.linspace(0.999, 0.001, PAGES - 1):
        yield float(urgency), ""


if __name__ == "__main__":
    main()
