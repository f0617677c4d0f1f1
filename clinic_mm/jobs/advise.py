"""Rank the patients of a cohort or a run by what a further test is expected to tell, within a budget.

In:  a model folder with its bank, a cohort or a run of that model, which tests, a budget. Out: `advice.csv`, a row per
patient and absent test in the order of worth, and `advice.json`, which says what it costs and what it should bring.

Nothing is fitted. A run is read as it was answered; a cohort is answered first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.cohort.task_cases import task_cases
from clinic_mm.errors import ArtifactError, InputError, UsageError
from clinic_mm.predict.advise import advised
from clinic_mm.predict.budget import candidates, money_of, paid
from clinic_mm.predict.deploy import load_deployed
from clinic_mm.predict.model import Model
from clinic_mm.predict.prediction import Prediction
from clinic_mm.predict.predictor import predict_cases
from clinic_mm.predict.shifted import at_level
from clinic_mm.prep.batch import Progress, prepare_cases
from clinic_mm.prep.cache import PrepCache
from clinic_mm.report.atomic import written_whole
from clinic_mm.report.run import open_run
from clinic_mm.types import SCHEMA_VERSION

UNIT = 256
"""Cases answered together."""
FIRST = 20
"""Tests that a terminal lists."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """What was found: every possible test in the order of worth with a column `chosen`, and the sums (JSON)."""

    rows: pd.DataFrame
    told: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AdviseOptions:
    """With what: workers, cache, whom to tell how far it is."""

    workers: int = 1
    cache: PrepCache | None = None
    progress: Progress | None = None


DEFAULTS = AdviseOptions()


def advise_budget(
    model_folder: Path,
    source: Path,
    *,
    tests: Sequence[str] = (),
    budget: str = "50%",
    out: Path | None = None,
    options: AdviseOptions = DEFAULTS,
) -> Ranked:
    """Rank and, where a folder is named, write `advice.csv` and `advice.json`.

    Args:
        model_folder: Artifact with its bank.
        source: Cohort folder, or run folder of this model.
        tests: Modalities that may be tested; all where none is named.
        budget: `50%` of what testing everybody would cost, or units of cost.
        out: Folder to write.
        options: Workers, cache, progress.

    Raises:
        UsageError: If a test is none of the model's, or the budget is no budget.
        ArtifactError: If the model has no bank, or cannot be read.
        InputError: If the run was made by another model, or nobody lacks the tests.
    """
    model, model_hash = load_deployed(model_folder)
    _check(model, model_folder, tests)
    simulated, predictions = _answered(model, model_hash, source, options)
    rows = candidates(predictions, tests)
    if rows.empty:
        wanted = " or ".join(tests) or "a test"
        mend = "Name another test, or a cohort whose patients lack it"
        raise InputError(f"There is no case that lacks {wanted} and that something can be said of", str(source), mend)
    money = money_of(budget, float(rows["cost"].sum()))
    rows = rows.assign(chosen=paid(rows["cost"], money))
    rows["cost_so_far"] = (rows["cost"] * rows["chosen"]).cumsum()
    told = {"model": model_hash, "simulated": simulated, **_told(rows, predictions, money)}
    if out is not None:
        written_whole(out / "advice.csv", rows.to_csv(index=False, lineterminator="\n").encode())
        written_whole(out / "advice.json", orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return Ranked(rows, told)


def _check(model: Model, folder: Path, tests: Sequence[str]) -> None:
    if unknown := sorted(set(tests) - set(model.names)):
        what = f"The model does not know {', '.join(unknown)}"
        raise UsageError(what, "--test", f"It was trained on {', '.join(model.names)}")
    if model.bank is None:
        mend = "Train with advice.bank = true in the task, or put bank.safetensors back"
        raise ArtifactError("The model has no bank of training answers", str(folder), mend)


def _answered(model: Model, model_hash: str, source: Path, options: AdviseOptions) -> tuple[bool, list[Prediction]]:
    if (source / "run.json").is_file():
        run = open_run(source)
        if run.info.model.hash != model_hash:
            raise InputError("The run was made by another model", str(source), "Screen again, or name the run's model")
        stored = list(run.predictions())
        level = stored[0].prediction_set.level if stored else None
        return run.info.simulated, advised(at_level(model, level), stored)
    cohort = open_cohort(source)
    cases, predictions = task_cases(cohort, model.task), []
    for start in range(0, len(cases), UNIT):
        unit = cases[start : start + UNIT]
        prepared = prepare_cases(unit, cohort.roots, model.recipe, workers=options.workers, cache=options.cache)
        predictions += predict_cases(model, model_hash, prepared)
        if options.progress:
            options.progress(len(predictions), len(cases))
    return cohort.info.simulated, predictions


def _told(rows: pd.DataFrame, predictions: Sequence[Prediction], money: float) -> dict[str, Any]:
    """What it costs, what it should bring, and what nothing is said of."""
    chosen = rows[rows["chosen"]]
    silent = {a.modality: a.silent for p in predictions for a in p.advice if a.silent}
    return {
        "schema_version": SCHEMA_VERSION,
        "n_cases": len(predictions),
        "tests_possible": len(rows),
        "tests_chosen": len(chosen),
        "cases_chosen": int(chosen["case_key"].nunique()),
        "by_test": {str(name): int(n) for name, n in chosen["test"].value_counts().sort_index().items()},
        "budget": money,
        "cost_chosen": float(chosen["cost"].sum()),
        "cost_all": float(rows["cost"].sum()),
        "decisions_changed_chosen": float(chosen["flips"].sum()),
        "decisions_changed_all": float(rows["flips"].sum()),
        "information_share": float(chosen["gain"].sum() / max(rows["gain"].sum(), 1e-12)),
        "silent": silent,
    }


def in_words(ranked: Ranked) -> str:
    """What it would cost and bring, in two sentences."""
    t = ranked.told
    kind = "SIMULATED cases" if t["simulated"] else "cases"
    by_test = ", ".join(f"{n} {name}" for name, n in t["by_test"].items()) or "none"
    first = (
        f"Of {t['tests_possible']} possible tests of {t['n_cases']} {kind} the budget pays for {t['tests_chosen']} "
        f"({by_test}): cost {t['cost_chosen']:g} of {t['cost_all']:g} (chest X-ray = 1)."
    )
    second = (
        f"Expected: {t['information_share']:.0%} of the information, {t['decisions_changed_chosen']:.0f} of the "
        f"{t['decisions_changed_all']:.0f} decisions that all tests would change, each test judged by itself."
    )
    more = f"Listed are the first {FIRST}; all of them: --out FOLDER" if t["tests_chosen"] > FIRST else ""
    return "\n".join([first, second, *(f"{name}: {why}." for name, why in t["silent"].items()), *([more] * bool(more))])


def shown(ranked: Ranked, most: int = FIRST) -> pd.DataFrame:
    """The first rows in the width of a terminal."""
    rows = ranked.rows[ranked.rows["chosen"]].head(most)
    return pd.DataFrame(
        {
            "case": rows["case_key"],
            "test": rows["test"],
            "changes the decision": [f"{100 * f:.0f} of 100" for f in rows["flips"]],
            "base rate": [f"{100 * f:.0f} of 100" for f in rows["base_rate"]],
            "information (nats)": rows["gain"].map("{:.3f}".format),
            "relative cost": rows["cost"].map("{:g}".format),
            "cost so far": rows["cost_so_far"].map("{:g}".format),
        }
    )
