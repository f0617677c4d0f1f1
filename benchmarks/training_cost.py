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

from benchmarks.section import machine, write_section
from clinic_mm.cohort.ingest import ingest
from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.jobs.evaluate import evaluate_model
from clinic_mm.simulate.cohort import write_cohort
from clinic_mm.task import read_task
from clinic_mm.training.train import Resources, train

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
    use = Resources(2, None, None, lambda text: steps.append((time.monotonic(), text)))
    task, model = read_task(files / "task.toml"), given.folder / "model"
    seconds["train, all of it"] = _timed(
        lambda: train(open_cohort(cohort), task, model, test_share=TEST_SHARE, use=use)
    )
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    scores = evaluate_model(
        model, cohort, given.folder / "evaluation", limit=files / "limit.json", workers=2
    ).by_pattern
    text = _page(given.cases, seconds, steps, peak_gib, scores)
    if given.page:
        write_section(given.page, "What training costs", text)
    print(text)


def _timed(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def _page(
    cases: int, seconds: dict[str, float], steps: list[tuple[float, str]], peak_gib: float, scores: object
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
            f"a refit, on {machine()}. Nothing was cached.",
            "",
            "| part | seconds |",
            "|---|---|",
            *rows,
            "",
            f"Peak memory of the training process: {peak_gib:.1f} GiB.",
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
