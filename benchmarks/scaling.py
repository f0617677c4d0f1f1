"""The cost model of screening: what a case costs, and so how many cores, how much disk and network a day's cases need.

In:  the figures of `benchmarks.scale`, some cases screened with files, the speed of one core. Out: docs/scaling.md.

Whatever is not measured here is called reasoned. Nothing here knows a price.
"""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.section import machine
from clinic_mm.cohort.ingest import ingest
from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.simulate.cohort import write_cohort
from clinic_mm.task import read_task

DAILY = (1_000, 100_000, 10_000_000)
WINDOWS_H = {"a night of 8 h": 8, "the whole day": 24}
SIMULATED = "evidence, simulated"
BUSY = 0.7
"""Share of the window in which cores work for us: the rest is other jobs, restarts and waiting for files."""
MACHINE_CORES = 32
REAL = frozenset({"CT, 41 slices of 512²", "X-ray, CR in DICOM", "EEG, EDF"})
"""Rows of evidence of a hospital's size in docs/performance.md."""
PRESENT = 0.7
"""Share of the cases that have each, as in the simulated cohorts."""
FIRST_PASS = ("index of input hashes", "form every case")
"""What the driver does for every case, beside the ledger."""
Figures = Mapping[str, Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True, slots=True)
class Screened:
    """Some cases, screened by one process: cases a second, and bytes a case of whatever is read or written."""

    cases: int
    cases_per_s: float
    again_per_s: float
    bytes: Mapping[str, float]


def screen_some(n_cases: int) -> Screened:
    """Simulate cases with files, fit a model without networks, screen them twice: without a cache, and from it."""
    from clinic_mm.jobs.asked import ScreenOptions
    from clinic_mm.jobs.screen import screen_cohort  # with torch, which no other step needs
    from clinic_mm.prep.cache import PrepCache
    from clinic_mm.training.train import train

    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        write_cohort(base / "files", cases=n_cases, seed=7)
        task = base / "files" / "task.toml"
        with task.open("a", encoding="utf-8") as file:
            file.write("folds = 2\n[train]\nepochs = 0\nthreads = 1\n")
        cohort = ingest(base / "files", base / "cohort", key=base / "key" / "pseudonym.key").path
        train(open_cohort(cohort), read_task(task), base / "model", test_share=0.2)
        seconds = []
        for run in ("first", "again"):
            started = time.perf_counter()
            cache = PrepCache(base / "cache")
            info = screen_cohort(base / "model", cohort, base / run, options=ScreenOptions(cache=cache))
            seconds.append(time.perf_counter() - started)
        n = info.counts.total
        size = {
            SIMULATED: _size(base / "files" / "dicom") + _size(base / "files" / "eeg"),
            "manifest (cohort folder)": _size(cohort),
            "rows of answers (Parquet)": _size(base / "first" / "shards"),
            "reports (FHIR)": _size(base / "first" / "reports"),
            "ledger": (base / "first" / "ledger.sqlite").stat().st_size,
            "work list (CSV)": (base / "first" / "worklist.csv").stat().st_size,
            "cache of prepared evidence": _size(base / "cache"),
        }
        return Screened(n, n / seconds[0], n / seconds[1], {name: one / n for name, one in size.items()})


def as_page(figures: Figures, screened: Screened, cases_per_s: float | None, performance: Path) -> str:
    """docs/scaling.md.

    Args:
        figures: Of `benchmarks.scale`, by number of cases; the largest is what the model rests on.
        screened: Some cases with files.
        cases_per_s: Of one core; what `screened` gave where None.
        performance: The page with the bytes and times of real files ("A second visit to the same files").
    """
    sizes = sorted(figures, key=int)
    speed = cases_per_s or screened.cases_per_s
    source = (
        "given, of `benchmarks.screening`" if cases_per_s else f"measured here, {screened.cases} cases, one process"
    )
    real = real_files(performance)
    parts = [
        "# Scaling",
        INTRODUCTION,
        "## What a case costs",
        _inputs(figures[sizes[-1]], int(sizes[-1]), screened, speed, source),
        "## What follows for a day's cases",
        FORMULAS,
        _clusters(speed, screened, figures[sizes[-1]], int(sizes[-1]), screened.bytes[SIMULATED]),
    ]
    if real:
        mb, ms = (sum(one[k] * PRESENT for one in real.values()) for k in (0, 1))
        parts += [_real_text(real, mb, ms), _clusters(1e3 / ms, screened, figures[sizes[-1]], int(sizes[-1]), 1e6 * mb)]
    parts += ["## What was checked", _checks(figures, sizes, speed), "## What was not", NOT_CHECKED]
    parts.append(f"Measured on {machine()}. Command: `{COMMAND}`")
    return "\n\n".join(parts) + "\n"


INTRODUCTION = """\
How many cores, how much disk and network the cases of a day need. Figures are measured by the command below, on
SIMULATED cases; formulas are in words, so that you can put in your own. What is only reasoned is called so."""

FORMULAS = f"""\
- **cores** = cases a day ÷ (seconds of the window × cases/s of one core × {BUSY}); {BUSY} is the share of the window in
  which cores work for us. Workers share nothing, so that cores add up as long as files come fast enough.
- **machines** = cores ÷ {MACHINE_CORES}, rounded up.
- **network** = cases a day × bytes of their evidence ÷ seconds of the window: every file crosses it once.
- **disk a day** = cases × (rows + report + ledger + work list + manifest); the cache is bounded and not in it.
- **driver** = cases × (input hash + forming the case + ledger): one process, whatever the number of workers."""

NOT_CHECKED = """\
- **Several machines**: here is one. That cores of other machines add up rests on workers sharing nothing but files.
- **GPU: reasoned only**, there is none here. Where networks take a share *n* of a case's time on a core, a GPU can save
  that share and no more: the cores that read and prepare for it then do 1 ÷ (1 − *n*) times as many cases, and one GPU
  serves as many cores as it answers faster than they prepare. Measure *n* with `benchmarks.screening` before you buy.
- **10,000,000 cases in one run**: the largest manifest measured is in the table above; the driver's memory grows by the
  labels and the index (bytes above). Part such days into several runs, such as one a site or an hour.
- **Storage that is slower than this machine's**: the files were in memory or on a local disk."""

COMMAND = "python -m benchmarks.scale --cases 20000 1000000 --page docs/performance.md --model docs/scaling.md"


def real_files(page: Path) -> dict[str, tuple[float, float]]:
    """MB and milliseconds, read and prepared once, of real files as that page has them; nothing where it has none."""
    lines = page.read_text(encoding="utf-8").splitlines() if page.is_file() else []
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")]
    return {row[0]: (float(row[1]), float(row[2])) for row in cells if row[0] in REAL}


def _real_text(real: Mapping[str, tuple[float, float]], mb: float, ms: float) -> str:
    told = "; ".join(f"{name}: {size:g} MB, {time_ms:.0f} ms" for name, (size, time_ms) in real.items())
    return (
        f"With evidence of a hospital's size ({told}, read and prepared without a cache; each in {PRESENT:.0%} of\n"
        f"the cases) a case has {mb:.0f} MB and takes {ms / 1e3:.2f} s of a core before any network: {1e3 / ms:.1f}\n"
        "cases/s. The times are measured on single real files (`benchmarks.cache`); that such cases follow one\n"
        "another at this pace is reasoned:"
    )


def _inputs(
    told: Mapping[str, Mapping[str, float]], n_cases: int, screened: Screened, speed: float, source: str
) -> str:
    ledger = told["ledger: plan and record"]
    rows = [
        ("screening, one core", f"{speed:.2f} cases/s", source),
        ("the same from the cache", f"{screened.again_per_s:.2f} cases/s", f"{screened.cases} cases, one process"),
        *(
            (name, f"{1e6 * told[name]['cpu_s'] / n_cases:.0f} µs a case", f"{n_cases:,} cases, one core")
            for name in ("make the manifest", "describe", *FIRST_PASS)
        ),
        ("ledger, one commit a unit of 64", f"{1e3 * ledger['ms_a_case']:.0f} µs a case", f"{n_cases:,} cases"),
        (
            "index in memory",
            f"{1e6 * told['index of input hashes']['table_mb'] / n_cases:.0f} bytes a case",
            "the same",
        ),
        ("manifest on disk", f"{told['make the manifest']['bytes'] / n_cases:.0f} bytes a case", "without files"),
        ("ledger on disk", f"{ledger['bytes'] / n_cases:.0f} bytes a case", "the same"),
        *((name, f"{one:,.0f} bytes a case", f"{screened.cases} cases") for name, one in screened.bytes.items()),
    ]
    return "\n".join(["| what | costs | measured on |", "|---|---|---|", *(f"| {a} | {b} | {c} |" for a, b, c in rows)])


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _clusters(
    speed: float, screened: Screened, told: Mapping[str, Mapping[str, float]], n_cases: int, evidence: float
) -> str:
    kept = sum(screened.bytes[name] for name in screened.bytes if not name.startswith(("evidence", "cache")))
    driver = (
        sum(told[name]["cpu_s"] for name in FIRST_PASS) / n_cases + told["ledger: plan and record"]["ms_a_case"] / 1e3
    )
    lines = [
        "| cases a day | within | cores | machines | network | disk a day | driver |",
        "|---|---|---|---|---|---|---|",
    ]
    for daily in DAILY:
        for window, hours in WINDOWS_H.items():
            cores = daily / (hours * 3600 * speed * BUSY)
            lines.append(
                f"| {daily:,} | {window} | {_up(cores):,} | {_up(cores / MACHINE_CORES):,} |"
                f" {daily * evidence / (hours * 3600) / 1e6:.3g} MB/s | {daily * kept / 1e9:.3g} GB |"
                f" {daily * driver:,.0f} s |"
            )
    return "\n".join(lines)


def _checks(figures: Figures, sizes: list[str], speed: float) -> str:
    least, most = sizes[0], sizes[-1]
    lines = [
        "The model says that the time a case takes does not depend on how many there are, and that memory grows by the",
        "labels and the index alone. Measured (CPU µs a case, as they are and as a ratio; peak MB):",
        "",
        f"| step | {int(least):,} | {int(most):,} | time: ratio | MB | MB |",
        "|---|---|---|---|---|---|",
    ]
    for name in ("make the manifest", "describe", *FIRST_PASS, "ledger: plan and record"):
        few, many = figures[least][name], figures[most][name]
        each = [1e6 * one["cpu_s"] / int(n) for one, n in ((few, least), (many, most))]
        lines.append(
            f"| {name} | {each[0]:.0f} | {each[1]:.0f} | {each[1] / each[0]:.2f} | {few['peak_mb']:.0f} |"
            f" {many['peak_mb']:.0f} |"
        )
    pace = 1e3 / figures[most]["ledger: plan and record"]["ms_a_case"]
    lines += [
        "",
        f"One driver records {pace:,.0f} cases/s, and a core screens {speed:.1f}: one ledger keeps up with some",
        f"{pace / speed:,.0f} cores, and is no limit before that.",
    ]
    return "\n".join(lines)


def _up(number: float) -> int:
    return max(1, -int(-number // 1))
