"""Valence low or high from EEG and eye tracking, SIMULATED: from EDF+ and gaze tables to figures beside the limit.

    python pipelines/emotion_eeg_eye.py [--out docs/] [--quick]

Writes results_emotion.md and its figure.
"""

import shutil
from pathlib import Path

import pandas as pd
import typer

from clinic_mm.cohort.public import public_cohort
from clinic_mm.evaluate import figures, page
from clinic_mm.evaluate.table import by_pattern, fusion_gain
from clinic_mm.jobs.evaluate import read_limits
from clinic_mm.prep.batch import Recipe, fit_preps, plan_recipe, prepare_cases
from clinic_mm.prep.cache import PrepCache
from clinic_mm.simulate.cohort import write_cohort
from clinic_mm.task import read_task
from clinic_mm.training.crossval import cross_validate
from clinic_mm.training.simple import Baseline, boosting, logistic, summaries
from clinic_mm.training.train import training_cases

HERE = Path(__file__).parent
MODALITIES = ("eeg", "eye")
SIMPLE = {"logistic both": "logistic regression on both", "boosting both": "gradient boosting on both"}
METHODS = {
    "fusion": "**clinic_mm**",
    "single:eeg": "EEG alone",
    "single:eye": "eye tracking alone",
    "late_average": "late average",
    "concat": "concat + presence flags",
    **SIMPLE,
    "prior": "prior",
}
CASES, QUICK_CASES, SEED = 800, 60, 11
REPEATS, FOLDS = 1, 5


def simple(recipe: Recipe) -> dict[str, Baseline]:
    """The baselines of this page."""
    both = summaries(recipe)
    return {"logistic both": logistic(both), "boosting both": boosting(both)}


def main(out: Path = HERE.parent / "docs", work: Path = HERE.parent / "runs" / "emotion", quick: bool = False) -> None:
    """Simulate, cross-validate and write the page."""
    files = work / "simulated"
    shutil.rmtree(files, ignore_errors=True)
    write_cohort(
        files, cases=QUICK_CASES if quick else CASES, seed=SEED, modalities=MODALITIES, workers=1 if quick else 2
    )
    labels = pd.read_csv(files / "labels.csv").rename(columns={"label": "valence"})
    cohort = public_cohort(HERE / "emotion_eeg_eye.cohort.toml", files, work, labels)
    task = read_task(HERE / "emotion_eeg_eye.task.toml")
    cases = training_cases(cohort, task, 0.0)
    recipe = fit_preps(cases, cohort.roots, plan_recipe(task))
    cache = PrepCache(work / "cache")
    prepared = prepare_cases(cases, cohort.roots, recipe, workers=1 if quick else 2, cache=cache)
    repeats, folds, draws = (1, 2, 100) if quick else (REPEATS, FOLDS, 1000)
    frame = cross_validate(
        prepared,
        recipe,
        task,
        relearn=None,  # neither EEG nor gaze learns anything when prepared
        repeats=repeats,
        folds=folds,
        extra=simple,
        keep=work / "folds",
        say=lambda told: typer.echo(told, err=True),
    )
    scores = by_pattern(frame, limits=read_limits(files / "limit.json"), n=draws)
    gains = fusion_gain(frame, against=("single:eeg", "single:eye", "late_average", "concat", *SIMPLE), n=draws)
    (out / "figures").mkdir(parents=True, exist_ok=True)
    figures.gain(gains[gains["pattern"] == "eeg+eye"], out / "figures/emotion_eeg_eye.png", simulated=True)
    parts = {
        "n": len(prepared),
        "high": int((prepared.labels == 1).sum()),
        "repeats": repeats,
        "folds": folds,
        "scores": page.scores_table(scores, METHODS),
        "limits": page.limits_table(scores, METHODS),
        "gains": page.gains_table(gains, METHODS, pattern="eeg+eye"),
    }
    page.write_page(HERE / "emotion_eeg_eye.md", out / "results_emotion.md", parts, quick=quick)


if __name__ == "__main__":
    typer.run(main)
