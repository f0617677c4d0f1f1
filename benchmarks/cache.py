"""What a second visit costs: preparing without a cache, first with one, again by stamps, again with every byte read.

    python -m benchmarks.cache --page docs/performance.md

Real files where they are (CLINIC_MM_DATA names their folder, else ../shared/data), and a SIMULATED cohort of 60
four-modality cases in temporary files. One process; the four ways take turns; medians of the repeats; what each way
gives is compared bit by bit. All files are in the memory of the operating system for all four ways.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from zoneinfo import ZoneInfo

import numpy as np

from benchmarks.section import machine, write_section
from clinic_mm.cohort.ingest import ingest
from clinic_mm.cohort.load import locate
from clinic_mm.cohort.one_case import case_from_paths
from clinic_mm.cohort.task_cases import task_cases
from clinic_mm.prep.base import plan_prep
from clinic_mm.prep.batch import PreparedCases, Recipe, fit_preps, plan_recipe, prepare_cases
from clinic_mm.prep.cache import PrepCache
from clinic_mm.simulate.cohort import write_cohort
from clinic_mm.sources.contents import SETTLED_NS
from clinic_mm.task import ModalityTask, read_task
from clinic_mm.types import CaseRecord

DATA = Path(os.environ.get("CLINIC_MM_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
REAL = {
    "CT, 41 slices of 512²": ("ct", "ct/nsclc_LUNG1-001"),
    "X-ray, CR in DICOM": ("xray", "xray_dicom/RG1_J2KI.dcm"),
    "EEG, EDF": ("eeg", "eeg/formats/edf"),
}
MODALITIES = ("ct", "xray", "eeg", "record")
WAYS = ("no cache", "first", "second", "verify")
NEEDED = {"second": 20.0, "verify": 4.0}


@dataclass(frozen=True, slots=True)
class Work:
    """Some cases to prepare, and how many bytes their files have."""

    name: str
    cases: Sequence[CaseRecord]
    roots: Mapping[str, Path]
    recipe: Recipe
    megabytes: float


def main() -> None:
    """Measure, compare, print, and write the page."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--repeats", type=int, default=7)
    asked.add_argument("--cases", type=int, default=60)
    asked.add_argument("--page", type=Path, help="page to write")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        works = [*_real(), _simulated(Path(folder), given.cases)]
        measured = {work.name: measure(work, Path(folder) / "cache", given.repeats) for work in works}
    text = _text(works, measured, given.repeats)
    if given.page:
        write_section(given.page, "A second visit to the same files", text)
    print(text)


def measure(work: Work, folder: Path, repeats: int) -> dict[str, float]:
    """Median seconds of each way; the ways must agree."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    plain = prepare_cases(work.cases, work.roots, work.recipe)
    for _ in range(repeats):
        shutil.rmtree(folder, ignore_errors=True)
        ways: dict[str, Callable[[], PrepCache | None]] = {
            "no cache": lambda: None,
            "first": partial(PrepCache, folder),
            "second": partial(PrepCache, folder),
            "verify": partial(PrepCache, folder, verify=True),
        }
        for way, cache in ways.items():
            started = time.perf_counter()
            made = prepare_cases(work.cases, work.roots, work.recipe, cache=cache())
            seconds[way].append(time.perf_counter() - started)
            _agree(plain, made)
    return {way: median(times) for way, times in seconds.items()}


def _agree(one: PreparedCases, other: PreparedCases) -> None:
    assert one.present.any()
    for name in one.names:
        np.testing.assert_array_equal(one.x[name], other.x[name])
        np.testing.assert_array_equal(one.plain[name], other.plain[name])
    assert one.outcomes == other.outcomes or str(one.outcomes) == str(other.outcomes)  # nan is not itself


def _real() -> list[Work]:
    works = []
    for name, (kind, place) in REAL.items():
        if not (DATA / place).exists():
            continue
        recipe = Recipe({kind: plan_prep(kind, "base", ModalityTask(kind=kind))})
        given = sorted((DATA / place).rglob("*.edf")) if kind == "eeg" else [DATA / place]
        every = [case_from_paths({kind: [path]}, zone=ZoneInfo("UTC")) for path in given]
        ready = [(case, roots) for case, roots in every if prepare_cases([case], roots, recipe).present.any()]
        case, roots = max(ready, key=lambda one: _megabytes([one[0]], one[1]))
        works.append(Work(name, [case], roots, recipe, _megabytes([case], roots)))
    return works


def _simulated(folder: Path, n_cases: int) -> Work:
    files = folder / "files"
    write_cohort(files, cases=n_cases, seed=5, modalities=MODALITIES, workers=1)
    cohort = ingest(files, folder / "cohort", key=folder / "key" / "pseudonym.key")
    task = read_task(files / "task.toml")
    cases = task_cases(cohort, task)
    recipe = fit_preps(cases, cohort.roots, plan_recipe(task))
    time.sleep(SETTLED_NS / 1e9)
    name = f"{n_cases} SIMULATED cases, four modalities"
    return Work(name, cases, cohort.roots, recipe, _megabytes(cases, cohort.roots))


def _megabytes(cases: Sequence[CaseRecord], roots: Mapping[str, Path]) -> float:
    files = {path for case in cases for kind in case.evidence for e in case.usable(kind) for path in locate(e, roots)}
    return sum(path.stat().st_size for path in files) / 1e6


def _text(works: Sequence[Work], measured: Mapping[str, Mapping[str, float]], repeats: int) -> str:
    rows = []
    for work in works:
        ms = {way: 1e3 * s for way, s in measured[work.name].items()}
        ratios = {way: ms["first"] / ms[way] for way in NEEDED}
        times = " | ".join(f"{ms[way]:.1f}" for way in WAYS)
        rows.append(
            f"| {work.name} | {work.megabytes:.1f} | {times} | {ratios['second']:.0f} | {ratios['verify']:.1f} |"
        )
    return "\n".join(
        [
            f"Milliseconds to prepare, one process, medians of {repeats} repeats on {machine()}; the files were in",
            "memory already. The first visit hashes the files; the second goes by their stamps; `--verify` reads every",
            "byte. All four give the same tensors, bit by bit.",
            "",
            "| files | MB | no cache | first | second | `--verify` | second: × faster | `--verify`: × faster |",
            "|---|---|---|---|---|---|---|---|",
            *rows,
            "",
            f"Asked for: ≥ {NEEDED['second']:.0f} × by stamps, ≥ {NEEDED['verify']:.0f} × with `--verify`.",
            "",
            "Command: `python -m benchmarks.cache --page docs/performance.md`",
        ]
    )


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    main()
