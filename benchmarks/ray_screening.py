"""Ray on this machine against worker processes: the same units by as many workers, both warm, taking turns.

    python -m benchmarks.ray_screening --page docs/performance.md

SIMULATED cases with record and note, answered by a model without networks, and each reported as FHIR: a unit takes
tenths of a second, so what an engine costs is seen. What both write is compared bit by bit.
"""

import argparse
import itertools
import os
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.kills import made
from benchmarks.section import machine, write_section
from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.cohort.stream import stream_cases
from clinic_mm.jobs.agreed import hire
from clinic_mm.jobs.engines.base import Bench, Engine, make_engine
from clinic_mm.jobs.spec import UNIT, JobSpec, read_head
from clinic_mm.jobs.unit import Answered, Unit

ENGINES = ("local", "ray")
NEEDED = 0.85


def main() -> None:
    """Measure, compare, print, and write the page."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--cases", type=int, default=4000)
    asked.add_argument("--workers", type=int, default=2)
    asked.add_argument("--unit", type=int, default=UNIT)
    asked.add_argument("--repeats", type=int, default=5)
    asked.add_argument("--page", type=Path, help="page to write")
    given = asked.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        spec, units = job(*made(root, given.cases), given.unit)
        seconds = measured(spec, units, root, given.workers, given.repeats)
        assert written(root / "local") == written(root / "ray"), "the engines do not agree"
    text = as_text(seconds, sum(len(unit.cases) for unit in units), len(units), given)
    if given.page:
        write_section(given.page, "Ray against worker processes", text)
    print(text)


def job(model: Path, cohort: Path, size: int) -> tuple[JobSpec, list[Unit]]:
    """A screening job, and its units."""
    head, opened, now = read_head(model), open_cohort(cohort), datetime.now(UTC)
    content = opened.info.content_hash
    spec = JobSpec(
        run_id="b", model=str(model), model_hash=head.hash, cohort=str(cohort), cohort_hash=content, created_at=now
    )
    cases = stream_cases(opened, head.task)
    chunks = iter(lambda: tuple(itertools.islice(cases, size)), ())
    return spec, [Unit(number, chunk, now) for number, chunk in enumerate(chunks)]


def measured(spec: JobSpec, units: Sequence[Unit], root: Path, workers: int, repeats: int) -> dict[str, list[float]]:
    """Seconds for all units, per engine and repeat; both have their workers from the beginning to the end."""
    seconds: dict[str, list[float]] = {name: [] for name in ENGINES}
    engines = {name: make_engine(name, Bench(partial(hire, spec, root / name), workers)) for name in ENGINES}
    try:
        for repeat in range(-1, repeats):  # the first is to warm up
            for name in ENGINES if repeat % 2 else reversed(ENGINES):
                started = time.perf_counter()
                drive(engines[name], units)
                if repeat >= 0:
                    seconds[name].append(time.perf_counter() - started)
    finally:
        for engine in engines.values():
            engine.stop()
    return seconds


def drive(engine: Engine, units: Sequence[Unit]) -> None:
    """All units through an engine, as the driver hands them out.

    Raises:
        SystemExit: If one was not answered.
    """
    waiting, inside = list(reversed(units)), 0
    while waiting or inside:
        while waiting and inside < engine.slots:
            engine.submit(waiting.pop())
            inside += 1
        for outcome in engine.wait(0.25):
            if not isinstance(outcome, Answered):
                raise SystemExit(f"a unit was not answered: {outcome}")
            inside -= 1


def written(run: Path) -> dict[str, bytes]:
    """Shards and reports, by name."""
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}


def as_text(seconds: dict[str, list[float]], cases: int, units: int, given: argparse.Namespace) -> str:
    """Markdown."""
    rate = {name: cases / median(took) for name, took in seconds.items()}
    ratio = median(local / ray for local, ray in zip(seconds["local"], seconds["ray"], strict=True))
    rows = "\n".join(f"| {name} | {rate[name]:.0f} |" for name in ENGINES)
    held = "reached" if ratio >= NEEDED else "NOT REACHED"
    return (
        f"`python -m benchmarks.ray_screening --cases {given.cases} --workers {given.workers} --unit {given.unit} "
        f"--repeats {given.repeats} --page docs/performance.md`, {machine()}. {cases} simulated cases with record and "
        f"note in {units} units, {given.workers} workers each, models loaded, engines in turns, median of "
        f"{given.repeats}. The ledger, which is the same for both, is not in it. Shards and reports of both are equal, "
        f"byte for byte.\n\n| engine | cases/s |\n|---|---:|\n{rows}\n\n"
        f"In the same time Ray does {ratio:.2f} of the cases that `local` does (median of the turns; asked for: "
        f"{NEEDED}; {held})."
    )


if __name__ == "__main__":
    main()
