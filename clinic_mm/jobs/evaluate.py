"""Evaluate a model folder on a cohort folder: load, leave out whom it was trained on, prepare, score."""

from collections.abc import Callable
from pathlib import Path

import orjson

from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.cohort.task_cases import task_cases
from clinic_mm.errors import InputError
from clinic_mm.evaluate.groups import groups_of
from clinic_mm.jobs.score import Scores, score
from clinic_mm.predict.deploy import load_deployed, runtime_told
from clinic_mm.predict.seen import unseen
from clinic_mm.predict.shifted import at_level
from clinic_mm.prep.batch import Progress, prepare_cases
from clinic_mm.prep.cache import PrepCache


def evaluate_model(
    model_folder: Path,
    cohort_folder: Path,
    out: Path,
    *,
    limit: Path | None = None,
    level: float | None = None,
    workers: int = 1,
    cache: PrepCache | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Scores:
    """Score on unseen patients and write the evaluation folder.

    `level`: of the prediction sets; the task's where None. `say`: told what ran the networks.

    Raises:
        UsageError: If the model has no thresholds at the level.
        LeakError: If the model was trained on everybody.
    """
    limits = read_limits(limit) if limit else None
    model, model_hash = load_deployed(model_folder)
    if told := runtime_told(model):
        say(told)
    model = at_level(model, level)
    cohort = open_cohort(cohort_folder)
    cases = [case for case in unseen(task_cases(cohort, model.task), model.facts) if case.label is not None]
    prepared = prepare_cases(cases, cohort.roots, model.recipe, workers=workers, cache=cache, progress=progress)
    groups = groups_of(cohort, cases)
    return score(model, model_hash, prepared, out, limits=limits, simulated=cohort.info.simulated, groups=groups)


def read_limits(path: Path) -> dict[str, float]:
    """Best possible AUROC per pattern from a simulated cohort's limit.json.

    Raises:
        InputError: If it is not one.
    """
    try:
        told = orjson.loads(path.read_bytes())
        by_pattern = {"+".join(sorted(row["modalities"])): float(row["auc_limit"]) for row in told["patterns"]}
        return {**by_pattern, "all": float(told["auc_limit"])}
    except (OSError, KeyError, TypeError, ValueError):
        raise InputError("This is not a limit.json", str(path), "Name the one that clinic-mm simulate wrote") from None
