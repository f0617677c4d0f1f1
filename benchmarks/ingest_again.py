"""What a second ingest of the same files costs: the first, the second, and one that reads every file again.

    python -m benchmarks.ingest_again --page docs/performance.md

A SIMULATED cohort of five modalities in temporary files. The ways take turns; medians of the repeats; the cohort
folders are compared byte for byte.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.section import machine, write_section
from clinic_mm.cohort.ingest import ingest
from clinic_mm.simulate.cohort import write_cohort
from clinic_mm.sources.contents import SETTLED_NS

NEEDED = 20.0
WAYS = {"first": True, "second": False, "--verify": True}


def main() -> None:
    """Measure, compare, print, and write the page."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--cases", type=int, default=200)
    asked.add_argument("--repeats", type=int, default=5)
    asked.add_argument("--page", type=Path, help="page to write")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        write_cohort(base / "files", cases=given.cases, seed=5)
        n_files = sum(path.is_file() for path in (base / "files").rglob("*"))
        time.sleep(SETTLED_NS / 1e9 + 0.5)
        seconds = measure(base, given.repeats)
    text = _text(seconds, given.cases, n_files, given.repeats)
    if given.page:
        write_section(given.page, "A second ingest of the same files", text)
    print(text)


def measure(base: Path, repeats: int) -> dict[str, float]:
    """Median seconds of each way; all give the same bytes."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    seen = None
    for number in range(repeats):
        out = base / f"cohort{number}"
        for way, reads in WAYS.items():
            started = time.perf_counter()
            ingest(base / "files", out, key=base / "key" / "pseudonym.key", verify=way == "--verify")
            seconds[way].append(time.perf_counter() - started)
            made = {path.name: path.read_bytes() for path in out.iterdir()}
            assert "ingested.json" in made or not reads
            seen = seen or made
            assert made == seen
    return {way: median(times) for way, times in seconds.items()}


def _text(seconds: dict[str, float], n_cases: int, n_files: int, repeats: int) -> str:
    ratio = seconds["first"] / seconds["second"]
    return "\n".join(
        [
            f"{n_cases} SIMULATED cases in {n_files} files, one process, medians of {repeats} repeats on {machine()};",
            "the files were in memory already. All three give the same cohort folder, byte for byte.",
            "",
            "| ingest | s |",
            "|---|---|",
            *(f"| {way} | {s:.3f} |" for way, s in seconds.items()),
            "",
            f"The second is {ratio:.0f} × faster; asked for: ≥ {NEEDED:.0f} ×. One changed or new file, and",
            "all are read again.",
            "",
            "Command: `python -m benchmarks.ingest_again --page docs/performance.md`",
        ]
    )


if __name__ == "__main__":
    main()
