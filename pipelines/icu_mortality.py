"""Who dies in hospital, asked 48 hours after ICU admission: PhysioNet 2012, vitals, labs and demographics.

    python pipelines/icu_mortality.py [--data DIR] [--out docs/] [--quick]

Writes results_icu_mortality.md and its figures.
"""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from clinic_mm.cohort.manifest import Cohort
from clinic_mm.cohort.public import public_cohort
from clinic_mm.evaluate import figures, page
from clinic_mm.evaluate.curves import WHOLE, curves
from clinic_mm.evaluate.table import by_pattern, fusion_gain
from clinic_mm.prep.batch import Recipe, fit_preps, plan_recipe, prepare_cases
from clinic_mm.prep.relearn import Relearn
from clinic_mm.task import read_task
from clinic_mm.training.crossval import LOSSES, cross_validate
from clinic_mm.training.simple import Baseline, boosting, logistic, summaries
from clinic_mm.training.train import training_cases

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "shared" / "data"
SIMPLE = {
    "boosting": "gradient boosting, scikit-learn's defaults",
    "boosting, slow": "gradient boosting, learning rate 0.03, 300 rounds",
    "logistic": "logistic regression",
}
METHODS = {
    "fusion": "**clinic_mm**",
    **SIMPLE,
    "concat": "concat + presence flags",
    "late_average": "late average",
    "single:vitals": "vitals alone",
    "single:labs": "labs alone",
    "single:demographics": "demographics alone",
    "prior": "prior",
}
REPEATS, FOLDS, QUICK_STAYS = 1, 5, 300


def cohort_of(data: Path, work: Path, most: int | None = None) -> Cohort:
    """The stays, or the first of them."""
    outcomes = pd.read_csv(data / "tabular/physionet2012/outcomes_a.csv").head(most)
    labels = outcomes.rename(columns={"In-hospital_death": "died"})[["RecordID", "died"]].assign(decision_h=48)
    return public_cohort(HERE / "icu_mortality.cohort.toml", data, work, labels)


def simple(recipe: Recipe) -> dict[str, Baseline]:
    """The baselines of this page."""
    table = summaries(recipe)
    return {
        "boosting": boosting(table),
        "boosting, slow": boosting(table, learning_rate=0.03, max_iter=300),
        "logistic": logistic(table),
    }


def main(
    data: Annotated[Path, typer.Option(envvar="CLINIC_MM_DATA")] = DATA,
    out: Path = HERE.parent / "docs",
    work: Path = HERE.parent / "runs" / "icu_mortality",
    quick: bool = False,
) -> None:
    """Cross-validate and write the page."""
    cohort = cohort_of(data, work, QUICK_STAYS if quick else None)
    task = read_task(HERE / "icu_mortality.task.toml")
    cases = training_cases(cohort, task, 0.0)
    recipe = fit_preps(cases, cohort.roots, plan_recipe(task))
    prepared = prepare_cases(cases, cohort.roots, recipe, workers=2)
    repeats, folds, draws = (1, 2, 100) if quick else (REPEATS, FOLDS, 1000)
    frame = cross_validate(
        prepared,
        recipe,
        task,
        relearn=Relearn(cohort.roots, workers=2),
        repeats=repeats,
        folds=folds,
        extra=simple,
        losses=LOSSES,
        keep=work / "folds",
        say=lambda told: typer.echo(told, err=True),
    )
    whole = frame[frame["dropped"] == WHOLE]
    scores = by_pattern(whole, n=draws)
    gains = fusion_gain(whole, against=("concat", "late_average", *SIMPLE), n=draws)
    drawn = {d: curves(frame, d, ["fusion", *SIMPLE, "concat"], n=draws) for d in ("parameters", "modalities")}
    (out / "figures").mkdir(parents=True, exist_ok=True)
    for dropped, found in drawn.items():
        figures.missing_curve(found, out / f"figures/icu_mortality_{dropped}.png", dropped=dropped)
    parts = {
        "n": len(prepared),
        "died": int(prepared.labels.sum()),
        "repeats": repeats,
        "folds": folds,
        "bar": page.bar(page.best_of(gains, list(SIMPLE)), METHODS),
        "scores": page.scores_table(scores, METHODS),
        "gains": page.gains_table(gains, METHODS),
        "patterns": page.patterns_table(scores, "fusion"),
        **{dropped: page.curve_table(found, METHODS) for dropped, found in drawn.items()},
    }
    page.write_page(HERE / "icu_mortality.md", out / "results_icu_mortality.md", parts, quick=quick)


if __name__ == "__main__":
    typer.run(main)
