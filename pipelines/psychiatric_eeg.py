"""Schizophrenia, and mood disorder, against healthy: EEG band powers and demographics; IQ and education as confounders.

    python pipelines/psychiatric_eeg.py [--data DIR] [--out docs/] [--quick]

Writes results_psychiatric_eeg.md and its figures.
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
from clinic_mm.training.simple import Baseline, boosting, covariates, logistic, summaries
from clinic_mm.training.train import training_cases

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "shared" / "data"
HEALTHY = "Healthy control"
BARRED = "schizophrenia"
TARGETS = {"schizophrenia": "Schizophrenia", "mood": "Mood disorder"}
SIMPLE = {
    "logistic both": "logistic regression on both",
    "logistic EEG": "logistic regression on EEG bands",
    "logistic age, sex": "logistic regression on age and sex",
    "boosting both": "gradient boosting on both",
}
CONFOUNDERS = {
    "IQ, education": "*audit: IQ and education alone*",
    "IQ": "*audit: IQ alone*",
    "education": "*audit: education alone*",
}
METHODS = {
    "fusion": "**clinic_mm**",
    **SIMPLE,
    "concat": "concat + presence flags",
    "late_average": "late average",
    "single:eeg_bands": "EEG bands alone",
    "single:demographics": "demographics alone",
    "prior": "prior",
    **CONFOUNDERS,
}
REPEATS, FOLDS = 5, 5


def cohort_of(data: Path, work: Path) -> Cohort:
    """All people, with one label column per diagnosis against healthy."""
    people = pd.read_csv(data / "multimodal/psychiatric_eeg.csv")
    against = {t: people["diagnosis"].map({HEALTHY: 0, words: 1}).astype("Int64") for t, words in TARGETS.items()}
    return public_cohort(HERE / "psychiatric_eeg.cohort.toml", data, work, people.assign(**against))


def simple(recipe: Recipe) -> dict[str, Baseline]:
    """The baselines of this page."""
    both = summaries(recipe, only="last")
    return {
        "logistic both": logistic(both),
        "logistic EEG": logistic(summaries(recipe, "eeg_bands", only="last")),
        "logistic age, sex": logistic(summaries(recipe, "demographics", only="last")),
        "boosting both": boosting(both),
        "IQ, education": logistic(covariates("IQ", "education")),
        "IQ": logistic(covariates("IQ")),
        "education": logistic(covariates("education")),
    }


def main(
    data: Annotated[Path, typer.Option(envvar="CLINIC_MM_DATA")] = DATA,
    out: Path = HERE.parent / "docs",
    work: Path = HERE.parent / "runs" / "psychiatric_eeg",
    quick: bool = False,
) -> None:
    """Cross-validate both tasks and write the page."""
    cohort = cohort_of(data, work)
    repeats, folds, draws = (1, 2, 100) if quick else (REPEATS, FOLDS, 1000)
    parts: dict[str, object] = {"repeats": repeats, "folds": folds}
    for target in TARGETS:
        task = read_task(HERE / "psychiatric_eeg.task.toml").model_copy(update={"target": target})
        cases = training_cases(cohort, task, 0.0)
        recipe = fit_preps(cases, cohort.roots, plan_recipe(task))
        prepared = prepare_cases(cases, cohort.roots, recipe)
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
        gains = fusion_gain(frame, against=(*SIMPLE, "concat", "late_average", *CONFOUNDERS), n=draws)
        (out / "figures").mkdir(parents=True, exist_ok=True)
        shown = gains[(gains["pattern"] == "all") & ~gains["against"].isin(CONFOUNDERS)]
        figures.gain(shown, out / f"figures/psychiatric_eeg_{target}.png")
        parts |= {
            f"{target}_healthy": int((prepared.labels == 0).sum()),
            f"{target}_n": int((prepared.labels == 1).sum()),
            f"{target}_bar": page.bar(page.best_of(gains, list(SIMPLE)), METHODS, judged=target == BARRED),
            f"{target}_scores": page.scores_table(scores, METHODS),
            f"{target}_gains": page.gains_table(gains, METHODS),
        }
    page.write_page(HERE / "psychiatric_eeg.md", out / "results_psychiatric_eeg.md", parts, quick=quick)


if __name__ == "__main__":
    typer.run(main)
