"""ICU at or after the first chest X-ray: Hannover, image and laboratory values. A demonstration on 44 patients.

    python pipelines/chest_icu.py [--data DIR] [--out docs/] [--quick]

Writes results_chest_icu.md and its figure.
"""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from clinic_mm.cohort.manifest import Cohort
from clinic_mm.cohort.public import public_cohort
from clinic_mm.evaluate import figures, page
from clinic_mm.evaluate.table import by_pattern, fusion_gain
from clinic_mm.prep.batch import Recipe, fit_preps, plan_recipe, prepare_cases
from clinic_mm.prep.relearn import Relearn
from clinic_mm.task import read_task
from clinic_mm.training.crossval import cross_validate
from clinic_mm.training.simple import Baseline, beside, covariates, logistic, summaries
from clinic_mm.training.train import training_cases

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "shared" / "data"
SIMPLE = {
    "logistic labs": "logistic regression on labs (last value)",
    "logistic image": "logistic regression on plain image summaries",
    "logistic both": "logistic regression on both",
}
SHORTCUT = {"view": "*audit: the view (AP or PA) alone*"}
METHODS = {
    "fusion": "**clinic_mm**",
    **SIMPLE,
    "concat": "concat + presence flags",
    "late_average": "late average",
    "single:xray": "X-ray alone",
    "single:labs": "labs alone",
    "prior": "prior",
    **SHORTCUT,
}
REPEATS, FOLDS = 10, 4


def asked_of(data: Path) -> pd.DataFrame:
    """Patients whose first image was taken before or at the ICU."""
    patients = pd.read_csv(data / "multimodal/chest_hannover/patients.csv")
    return patients[patients["first_image_before_or_at_icu"] == 1]


def cohort_of(data: Path, work: Path) -> Cohort:
    """Those patients."""
    return public_cohort(HERE / "chest_icu.cohort.toml", data, work, asked_of(data))


def simple(recipe: Recipe) -> dict[str, Baseline]:
    """The baselines of this page."""
    image, labs = summaries(recipe, "xray"), summaries(recipe, "labs", only="last")
    return {
        "logistic labs": logistic(labs),
        "logistic image": logistic(image),
        "logistic both": logistic(beside(image, labs)),
        "view": logistic(covariates("first_view", words=("ap",))),
    }


def main(
    data: Annotated[Path, typer.Option(envvar="CLINIC_MM_DATA")] = DATA,
    out: Path = HERE.parent / "docs",
    work: Path = HERE.parent / "runs" / "chest_icu",
    quick: bool = False,
) -> None:
    """Cross-validate and write the page."""
    asked = asked_of(data)
    cohort = cohort_of(data, work)
    task = read_task(HERE / "chest_icu.task.toml")
    cases = training_cases(cohort, task, 0.0)
    recipe = fit_preps(cases, cohort.roots, plan_recipe(task))
    prepared = prepare_cases(cases, cohort.roots, recipe)
    repeats, folds, draws = (1, 2, 100) if quick else (REPEATS, FOLDS, 1000)
    frame = cross_validate(
        prepared,
        recipe,
        task,
        relearn=Relearn(cohort.roots),
        repeats=repeats,
        folds=folds,
        extra=simple,
        keep=work / "folds",
        say=lambda told: typer.echo(told, err=True),
    )
    scores = by_pattern(frame, n=draws)
    gains = fusion_gain(frame, against=(*SIMPLE, "concat", "late_average", *SHORTCUT), n=draws)
    (out / "figures").mkdir(parents=True, exist_ok=True)
    figures.gain(gains[gains["pattern"] == "all"], out / "figures/chest_icu_gain.png")
    parts = {
        "n": len(prepared),
        "icu": int(prepared.labels.sum()),
        **{v: f"{int(one.sum())} of {len(one)}" for v, one in asked.groupby("first_view")["icu_ever"]},
        "repeats": repeats,
        "folds": folds,
        "bar": page.bar(page.best_of(gains, list(SIMPLE)), METHODS, judged=False),
        "scores": page.scores_table(scores, METHODS),
        "gains": page.gains_table(gains, METHODS),
        "patterns": page.patterns_table(scores, "fusion"),
    }
    page.write_page(HERE / "chest_icu.md", out / "results_chest_icu.md", parts, quick=quick)


if __name__ == "__main__":
    typer.run(main)
