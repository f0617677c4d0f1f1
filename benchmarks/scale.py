"""What a million cases cost before any of them is read: manifest, describe, filter, stream, ledger, resume, work list.

    python -m benchmarks.scale --cases 20000 1000000 --page docs/performance.md --model docs/scaling.md

SIMULATED manifests without files, in temporary files. Every step is a process of its own, so that its peak memory is
its own; the steps run one after the other, in one thread. `--model` also screens some cases with files, counts bytes,
and writes the cost model (see `benchmarks.scaling`); `--cases-per-s` gives it the speed of one core that
`benchmarks.screening` measured, in the place of the one that it measures itself.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks import scaling
from benchmarks.section import machine, write_section
from clinic_mm.cohort.describe import describe
from clinic_mm.cohort.manifest import Cohort, open_cohort
from clinic_mm.cohort.stream import Wanted, case_index, index_hash, stream_cases
from clinic_mm.jobs.ledger import Ledger, opened
from clinic_mm.jobs.ledger_read import read_only
from clinic_mm.jobs.plan import plan
from clinic_mm.jobs.spec import Head, JobSpec
from clinic_mm.jobs.unit import Answered, CaseRow, Shard, Why
from clinic_mm.simulate.without_files import write_without_files
from clinic_mm.task import Task, read_task

SINCE = datetime(2025, 12, 31, tzinfo=UTC)
"""One day of the year that decisions are spread over."""
PATTERN = ("ct", "eeg")
PAGE = 50
REPEATS = 15
LEDGER_MS = 3.0
Told = dict[str, float]
Figures = dict[str, dict[str, Told]]
"""By number of cases and step: seconds, peak MB, and what else was counted."""


def main() -> None:
    """Measure each size, print, and write the pages."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--cases", type=int, nargs="+", default=[20_000, 1_000_000])
    asked.add_argument("--page", type=Path, help="page to write the figures to")
    asked.add_argument("--model", type=Path, help="page to write the cost model to")
    asked.add_argument("--cases-per-s", type=float, help="of one core, from benchmarks.screening")
    asked.add_argument("--screened", type=int, default=60, help="cases with files that the cost model counts bytes of")
    asked.add_argument("--step", help=argparse.SUPPRESS)
    asked.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.step:
        print(json.dumps(_measured(STEPS[given.step], given.folder, given.cases[0])))
        return
    figures = {str(n): measure(n) for n in given.cases}
    text = _text(figures)
    if given.page:
        write_section(given.page, "A million cases before any is read", text)
    print(text)
    if given.model:
        screened = scaling.screen_some(given.screened)
        page = scaling.as_page(figures, screened, given.cases_per_s, given.page or Path("docs/performance.md"))
        given.model.write_text(page, encoding="utf-8")
        print(page)


def measure(n_cases: int) -> dict[str, Told]:
    """Every step at one size, each in a process of its own."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in STEPS:
            command = [sys.executable, "-m", "benchmarks.scale", "--step", name, "--folder", folder]
            ran = subprocess.run(  # noqa: S603 - this very file
                [*command, "--cases", str(n_cases)], check=True, stdout=subprocess.PIPE
            )
            found[name] = json.loads(ran.stdout)
            print(f"{n_cases:>9} {name:<34} {found[name]}", file=sys.stderr)
    return found


def _measured(step: Callable[[Path, int], Told], folder: Path, n_cases: int) -> Told:
    started, cpu = time.perf_counter(), time.process_time()
    told = step(folder, n_cases)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {"s": time.perf_counter() - started, "cpu_s": time.process_time() - cpu, "peak_mb": peak, **told}


def _manifest(folder: Path, n_cases: int) -> Told:
    write_without_files(folder / "cohort", cases=n_cases, seed=1)
    return {"bytes": _bytes(folder / "cohort")}


def _open(folder: Path, n_cases: int) -> Told:
    cohort, task = _cohort(folder)
    assert cohort.info.counts["patients"] == n_cases
    return {"digits": len(index_hash(cohort, task))}


def _describe(folder: Path, n_cases: int) -> Told:
    told = describe(_cohort(folder)[0], "label")
    assert told.cases == sum(pattern.cases for pattern in told.patterns) == n_cases
    return {}


def _index(folder: Path, n_cases: int) -> Told:
    index = case_index(*_cohort(folder))
    assert index["case_key"].is_unique
    assert len(index) == n_cases
    return {"table_mb": index.memory_usage(deep=True).sum() / 1e6}


def _stream(folder: Path, n_cases: int) -> Told:
    patients = sum(1 for _ in stream_cases(*_cohort(folder)))
    assert patients == n_cases
    return {}


def _since(folder: Path, _: int) -> Told:
    found = list(stream_cases(*_cohort(folder), Wanted(since=SINCE)))
    assert all(case.decision_time and case.decision_time >= SINCE for case in found)
    return {"cases": len(found)}


def _pattern(folder: Path, _: int) -> Told:
    found = 0
    for case in stream_cases(*_cohort(folder), Wanted(pattern=PATTERN)):
        assert case.pattern == PATTERN
        found += 1
    return {"cases": found}


def _limit(folder: Path, _: int) -> Told:
    return {"cases": sum(1 for _ in stream_cases(*_cohort(folder), Wanted(limit=100)))}


def _ledger(folder: Path, n_cases: int) -> Told:
    """The ledger of a run in which everything is answered, one commit a unit as the driver does it."""
    run = folder / "run"
    (run / "shards").mkdir(parents=True)
    with opened(run) as ledger:
        started = time.perf_counter()
        _plan(ledger, folder)
        planned = time.perf_counter() - started
        assert ledger.pending() == n_cases
        started = time.perf_counter()
        for one in _answers(ledger, run):
            ledger.record([(one, "m" * 64, "s" * 64)], [])
        recorded = time.perf_counter() - started
        assert ledger.pending() == 0
    return {"plan_s": planned, "ms_a_case": 1e3 * recorded / n_cases, "bytes": (run / "ledger.sqlite").stat().st_size}


def _answers(ledger: Ledger, run: Path) -> list[Answered]:
    rng = np.random.default_rng(1)
    units: dict[int, list[str]] = {}
    for unit, key in ledger.db.execute("SELECT unit, case_key FROM cases ORDER BY unit, place"):
        units.setdefault(unit, []).append(key)
    answers = []
    for number, keys in units.items():
        path = run / "shards" / f"unit-{number:07d}.parquet"
        path.write_bytes(b"-")
        stat = path.stat()
        rows = tuple(_row(key, rng) for key in keys)
        answers.append(Answered(number, rows, Shard(path.name, 1, DASH, stat.st_mtime_ns, len(keys)), 0.5))
    return answers


DASH = "3973e022e93220f9212c18d0d0c543ae7c309e46640da93a4a0314de999f5112"
"""SHA-256 of what stands for a shard: one byte, since here only its stamp is looked at."""


def _row(key: str, rng: np.random.Generator) -> CaseRow:
    urgency = round(float(rng.random()), 6)
    if rng.random() < 0.01:
        why = Why("rejected", "ct", "ct.missing_slices", "1 slice is missing")
        return CaseRow(key, "skipped", False, urgency, "", "Nothing of it could be read: ct.missing_slices", (), (why,))
    reason = f"Probability of positive {urgency:.2f}, and the prediction set holds it"
    return CaseRow(key, "done", rng.random() < 0.1, urgency, "ct+eeg", reason)


def _resume(folder: Path, _: int) -> Told:
    with opened(folder / "run") as ledger:
        _plan(ledger, folder)
        assert ledger.pending() == 0
    return {}


def _resume_new(folder: Path, _: int) -> Told:
    with opened(folder / "run") as ledger:
        with ledger.commit():
            ledger.note("index", "another ingest")
        _plan(ledger, folder)
        assert ledger.pending() == 0
    return {}


def _pages(folder: Path, n_cases: int) -> Told:
    with read_only(folder / "run") as ledger:
        first = _timed(lambda: ledger.worklist(PAGE))
        half = "SELECT urgency, case_key FROM cases ORDER BY urgency DESC, case_key LIMIT 1 OFFSET ?"
        after = tuple(ledger.db.execute(half, (n_cases // 2,)).fetchone())
        middle = _timed(lambda: ledger.worklist(PAGE, after))
        counts = _timed(ledger.counts)
        silent = _timed(lambda: _only_silent(ledger))
    return {"first_s": first, "middle_s": middle, "counts_s": counts, "filtered_s": silent}


def _only_silent(ledger: Ledger) -> int:
    """The first page of cases without an answer, as somebody filters them: page by page."""
    after, found = None, 0
    while found < PAGE and (page := ledger.worklist(10 * PAGE, after)):
        found += sum(line.state == "skipped" for line in page)
        after = (page[-1].urgency, page[-1].case_key)
    return found


def _timed(look: Callable[[], object]) -> float:
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        assert look()
        seconds.append(time.perf_counter() - started)
    return median(seconds)


def _plan(ledger: Ledger, folder: Path) -> None:
    cohort, task = _cohort(folder)
    path, when = str(folder), datetime(2026, 1, 1, tzinfo=UTC)
    spec = JobSpec(
        run_id="scale",
        model=path,
        model_hash="m" * 64,
        cohort=path,
        cohort_hash=cohort.info.content_hash,
        created_at=when,
    )
    head = Head("m" * 64, task, {"patients_sha256": []})
    plan(ledger, folder / "run", spec, head, cohort, retry=False, say=lambda _: None)


def _cohort(folder: Path) -> tuple[Cohort, Task]:
    return open_cohort(folder / "cohort"), read_task(folder / "cohort" / "task.toml")


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


STEPS: dict[str, Callable[[Path, int], Told]] = {
    "make the manifest": _manifest,
    "open": _open,
    "describe": _describe,
    "filter: since one day": _since,
    "filter: one pattern": _pattern,
    "filter: the first 100": _limit,
    "form every case": _stream,
    "index of input hashes": _index,
    "ledger: plan and record": _ledger,
    "resume, nothing new": _resume,
    "resume after another ingest": _resume_new,
    "work list": _pages,
}


def _text(figures: Mapping[str, Mapping[str, Told]]) -> str:
    sizes = list(figures)
    head = " | ".join(f"{int(n):,} cases: s | CPU s | MB" for n in sizes)
    rows = [f"| {name} | " + " | ".join(_cells(figures[n][name]) for n in sizes) + " |" for name in STEPS]
    return "\n".join(
        [
            "SIMULATED manifests of five modalities, about 3.5 findings a case, no file of evidence; one thread on",
            f"{machine()}. Each step is a process of its own: seconds of the clock and of the processor, opening the",
            "cohort among them; MB are its peak, of which the program alone takes about 125.",
            "",
            f"| step | {head} |",
            "|---|" + "---|---|---|" * len(sizes),
            *rows,
            "",
            *_judged(figures[sizes[-1]], int(sizes[-1])),
            "",
            f"Command: `{scaling.COMMAND}`",
        ]
    )


def _cells(told: Told) -> str:
    return f"{told['s']:.2f} | {told['cpu_s']:.2f} | {told['peak_mb']:.0f}"


def _judged(told: Mapping[str, Told], n_cases: int) -> list[str]:
    pages, ledger = told["work list"], told["ledger: plan and record"]
    lines = [
        ("resume decided, nothing new", told["resume, nothing new"]["s"], "s", 5.0),
        ("first page of the work list", 1e3 * pages["first_s"], "ms", 100.0),
        ("page in its middle", 1e3 * pages["middle_s"], "ms", 100.0),
        ("page of one state, found page by page", 1e3 * pages["filtered_s"], "ms", 100.0),
        ("counts of all states", 1e3 * pages["counts_s"], "ms", 100.0),
        ("ledger, a case", ledger["ms_a_case"] + 1e3 * ledger["plan_s"] / n_cases, "ms", LEDGER_MS),
    ]
    return [
        f"| at {n_cases:,} rows | measured | asked for | |",
        "|---|---|---|---|",
        *(
            f"| {name} | {got:.3g} {unit} | ≤ {most:g} {unit} | {'met' if got <= most else 'NOT met'} |"
            for name, got, unit, most in lines
        ),
    ]


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
