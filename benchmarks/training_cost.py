"""What training costs: simulate N four-modality cases, ingest, prepare, fit; seconds of each part and peak memory.

    python -m benchmarks.training_cost --cases 2000 --folder bench --page docs/performance.md

The folder keeps the simulated cohort, so that a second run measures training alone. Times are of the wall clock on the
machine that runs it; the page says how many cores that has.
"""

import argparse
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.section import machine, write_section
from clinic_mm.cohort.ingest import ingest
from clinic_mm.cohort.manifest import Cohort, open_cohort
from clinic_mm.jobs.evaluate import evaluate_model
from clinic_mm.prep.batch import fit_preps, plan_recipe, prepare_cases
from clinic_mm.prep.cache import open_cache
from clinic_mm.simulate.cohort import write_cohort
from clinic_mm.task import Task, read_task
from clinic_mm.training.runlog import events_of, runs_of
from clinic_mm.training.session import Keep
from clinic_mm.training.train import Resources, train, training_cases

MODALITIES = ("ct", "xray", "eeg", "record")
TEST_SHARE = 0.2


def main() -> None:
    """Run the parts and write the page."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument(
        "--cases", type=int, default=2000, help="cases trained on; a quarter as many are added for testing"
    )
    asked.add_argument("--seed", type=int, default=11)
    asked.add_argument("--folder", type=Path, required=True, help="where the cohort and the model go")
    asked.add_argument("--page", type=Path, help="page to write")
    given = asked.parse_args()
    seconds: dict[str, float] = {}
    files, cohort = given.folder / "files", given.folder / "cohort"
    if not (cohort / "cohort.json").is_file():
        total = round(given.cases / (1 - TEST_SHARE))
        seconds["simulate"] = _timed(
            lambda: write_cohort(files, cases=total, seed=given.seed, modalities=MODALITIES, workers=2)
        )
        seconds["ingest"] = _timed(lambda: ingest(files, cohort, key=given.folder / "key" / "pseudonym.key"))
    steps: list[tuple[float, str]] = []
    runs = given.folder / "runs"
    cache = open_cache(given.folder / "cache", 20.0)
    use = Resources(2, cache, None, lambda text: steps.append((time.monotonic(), text)), Keep(runs=runs))
    task, model = read_task(files / "task.toml"), given.folder / "model"
    seconds["prepare (kept for a second run)"] = _timed(lambda: _prepare(open_cohort(cohort), task, use))
    seconds["train, all of it, on prepared evidence"] = _timed(
        lambda: train(open_cohort(cohort), task, model, test_share=TEST_SHARE, use=use)
    )
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    scores = evaluate_model(
        model, cohort, given.folder / "evaluation", limit=files / "limit.json", workers=2
    ).by_pattern
    text = _page(given.cases, seconds, steps, peak_gib, scores, _in_the_model(runs))
    if given.page:
        write_section(given.page, "What training costs", text)
    print(text)


def _prepare(cohort: Cohort, task: Task, use: Resources) -> None:
    """Fill the cache as training will ask it."""
    cases = training_cases(cohort, task, TEST_SHARE)
    recipe = fit_preps(cases, cohort.roots, plan_recipe(task))
    prepare_cases(cases, cohort.roots, recipe, workers=use.workers, cache=use.cache)


def _in_the_model(runs: Path) -> list[str]:
    """Of the step loop of each kind of network: steps, ms a step, share in forward, backward and optimiser."""
    fits: dict[str, list[dict[str, Any]]] = {}
    for event in events_of(runs, runs_of(runs)[0]["run"]):
        if event["event"] == "fitted" and "steps" in event:
            fits.setdefault(event["part"], []).append(event)
    every = [fit for some in fits.values() for fit in some]
    rows = []
    for name, some in (*fits.items(), ("all", every)):
        steps, seconds = sum(fit["steps"] for fit in some), sum(fit["seconds"] for fit in some)
        inside = sum(fit["model_seconds"] for fit in some)
        rows.append(f"| {name} | {len(some)} | {steps} | {1000 * seconds / steps:.1f} | {inside / seconds:.1%} |")
    return ["| network | fits | steps | ms a step | in the model |", "|---|---|---|---|---|", *rows]


def _timed(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def _page(
    cases: int,
    seconds: dict[str, float],
    steps: list[tuple[float, str]],
    peak_gib: float,
    scores: object,
    inside: list[str],
) -> str:
    import pandas as pd

    assert isinstance(scores, pd.DataFrame)
    ends = [at for at, _ in steps[1:]]
    parts = [(text, after - at) for (at, text), after in zip(steps, ends, strict=False)]
    every = scores[scores["pattern"] == "all"].set_index("method")
    rows = [f"| {name} | {value:.0f} |" for name, value in (*seconds.items(), *parts)]
    figures = [
        f"| {method} | {row['auroc']:.3f} ({row['auroc_low']:.3f} to {row['auroc_high']:.3f}) | {row['nll']:.3f} |"
        for method, row in every.iterrows()
    ]
    limit = every["limit"].max()
    return "\n".join(
        [
            f"{cases} SIMULATED cases with CT, X-ray, EEG and record (30 % of each missing), size `tiny`, 3 folds and",
            f"a refit, on {machine()}. To reach: 40 min (2400 s) for training on prepared evidence.",
            "",
            "| part | seconds |",
            "|---|---|",
            *rows,
            "",
            f"Peak memory of the training process: {peak_gib:.1f} GiB.",
            "",
            "Of the time of the step loops, that in forward, backward and optimiser (to reach: 95 %); the rest draws",
            "and augments batches, keeps states and logs:",
            "",
            *inside,
            "",
            "What came out, on the patients left out (95 % intervals by patient):",
            "",
            "| method | AUROC | NLL |",
            "|---|---|---|",
            *figures,
            "",
            f"Best possible AUROC of this cohort: {limit:.3f}.",
            "",
            "Command: `python -m benchmarks.training_cost --cases 2000 --folder bench --page docs/performance.md`",
            "",
        ]
    )


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    main()
