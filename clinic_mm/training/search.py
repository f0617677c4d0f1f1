"""Search for better settings of a task, by patient-level folds inside the training patients (clinic-mm search).

    OUT/search.sqlite   every trial (Optuna's own format)
    OUT/folds/          answers of finished folds, so that a killed search goes on within a trial
    OUT/best.json       the best settings, every trial's loss, and what was searched
    OUT/task.toml       the task with the best settings, for clinic-mm train

In:  an open cohort, a task, a space of settings (schemas/search.toml). Out: the folder. The patients that `clinic-mm
train` leaves out for the same --test-share take no part. What is minimised is the NLL of the whole model's answers to
cases of the held folds; it is the best of many and so too good: only the test patients tell how good the model is.

Trial n is drawn by TPE with the seed `task.seed + n` from the trials before it: a killed search ends as one that was
not. Source: Bergstra, Bardenet, Bengio and Kégl 2011, "Algorithms for Hyper-Parameter Optimization", NeurIPS 24.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import orjson
from pydantic import JsonValue

from clinic_mm.bundle import policy
from clinic_mm.cohort.manifest import Cohort
from clinic_mm.errors import ClinicError, TaskError
from clinic_mm.evaluate.metrics import nll
from clinic_mm.extras import need
from clinic_mm.predict.answers import OURS
from clinic_mm.prep.batch import PreparedCases, Recipe, fit_preps, plan_recipe, prepare_cases
from clinic_mm.report.atomic import written_whole
from clinic_mm.task import Task, parse_task
from clinic_mm.toml_file import fitted, read_toml
from clinic_mm.training.crossval import cross_validate
from clinic_mm.training.resume import identity
from clinic_mm.training.session import alone
from clinic_mm.training.train import ALONE, Resources, training_cases
from clinic_mm.types import SCHEMA_VERSION, Frozen

STORE: Final = "search.sqlite"
TASK_HASH: Final = "asked"
SEE: Final = "See schemas/search.toml for one"


class Setting(Frozen):
    """One field of the task file and what it may be.

    Attributes:
        field: Dotted, as in `train.learning_rate`.
        kind: choice among `values`, or log: between `low` and `high`, drawn on a logarithmic scale.
    """

    field: str
    kind: Literal["choice", "log"]
    values: tuple[str | int | float | bool, ...] = ()
    low: float = 0.0
    high: float = 0.0


class Space(Frozen):
    """What is searched."""

    schema_version: str = SCHEMA_VERSION
    setting: tuple[Setting, ...]


def read_space(path: Path | None) -> Space:
    """The space of a file, or the default one.

    Raises:
        TaskError: If it is no space.
    """
    given = policy("search") if path is None else read_toml(path, "search space", SEE)
    space = fitted(Space, given, str(path or "schemas/search.toml"), SEE)
    for one in space.setting:
        if not (one.values if one.kind == "choice" else 0 < one.low < one.high):
            raise TaskError("A setting has nothing to choose from", one.field, SEE)
    return space


def search(
    cohort: Cohort,
    task: Task,
    out: Path,
    space: Space,
    *,
    trials: int,
    folds: int = 3,
    test_share: float = 0.0,
    use: Resources = ALONE,
) -> dict[str, Any]:
    """Go on until so many trials are done, and write what is best.

    Args:
        cohort: Where the cases are.
        task: What is asked; what the space does not name stays.
        out: Folder to write; trials that are done there are not done again.
        space: What is tried.
        trials: How many in all.
        folds: Into which the training patients are parted.
        test_share: As `clinic-mm train` will leave out.
        use: Workers, cache, progress.

    Raises:
        TaskError: If the folder is of another search, every trial was refused, or a field of the space is none.
        InputError: If another search works in the folder.
        ExtraMissingError: If Optuna is not installed.
    """
    for one in space.setting:  # a field that is none is found before anything is prepared
        _with(task, {one.field: one.values[0] if one.kind == "choice" else one.low})
    with alone(out, "search", "another folder"):
        cases = training_cases(cohort, task, test_share)
        recipe = fit_preps(cases, cohort.roots, plan_recipe(task))
        asked = identity(task, space, cohort.info.content_hash, folds, test_share)
        study = _study(out, asked)
        prepared = prepare_cases(
            cases, cohort.roots, recipe, workers=use.workers, cache=use.cache, progress=use.progress
        )
        while (number := _done(study, space)) < trials:
            settings = _next(study, space, task.seed + number)
            use.say(f"trial {number + 1} of {trials}: {_words(settings)}")
            _try(study, prepared, recipe, _with(task, settings), folds, out / "folds", use)
        return _write(study, task, space, out, folds, test_share)


def _study(out: Path, asked: str) -> Any:  # noqa: ANN401  - Optuna is an optional part
    """The study of the folder; trials that a kill cut off wait to be done again."""
    optuna = need("optuna")
    optuna.logging.set_verbosity(logging.WARNING)
    storage = optuna.storages.RDBStorage(f"sqlite:///{(out / STORE).resolve()}")
    study = optuna.create_study(storage=storage, study_name="search", direction="minimize", load_if_exists=True)
    if study.user_attrs.get(TASK_HASH, asked) != asked:
        mend = "Name another folder, or the same task, space, cohort, folds and --test-share"
        raise TaskError("The folder holds another search", str(out), mend)
    study.set_user_attr(TASK_HASH, asked)
    return study


def _done(study: Any, space: Space) -> int:  # noqa: ANN401
    """Trials that are done or were refused; one that a kill cut off while it was drawn never was."""
    return sum(trial.state.is_finished() and len(trial.params) == len(space.setting) for trial in study.trials)


def _next(study: Any, space: Space, seed: int) -> dict[str, JsonValue]:  # noqa: ANN401
    """Settings of the trial that a kill cut off, or of a new one."""
    optuna = need("optuna")
    running = study.get_trials(states=[optuna.trial.TrialState.RUNNING])
    if running and len(running[0].params) < len(space.setting):
        study.tell(running.pop().number, state=optuna.trial.TrialState.FAIL)
    if not running:
        study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=5)
        trial = study.ask()
        for one in space.setting:
            if one.kind == "choice":
                trial.suggest_categorical(one.field, list(one.values))
            else:
                trial.suggest_float(one.field, one.low, one.high, log=True)
        running = study.get_trials(states=[optuna.trial.TrialState.RUNNING])
    settings: dict[str, JsonValue] = dict(running[0].params)
    return settings


def _try(
    study: Any,  # noqa: ANN401
    prepared: PreparedCases,
    recipe: Recipe,
    task: Task,
    folds: int,
    keep: Path,
    use: Resources,
) -> None:
    """Do the trial that is running."""
    optuna = need("optuna")
    (trial,) = study.get_trials(states=[optuna.trial.TrialState.RUNNING])
    try:
        answers = cross_validate(prepared, recipe, task, relearn=None, repeats=1, folds=folds, keep=keep, say=use.say)
    except ClinicError as error:
        use.say(f"refused: {error}")
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        return
    ours = answers[answers["method"] == OURS]
    p = ours[[f"p_{c}" for c in range(len(task.classes))]].to_numpy(float)
    study.tell(trial.number, float(nll(p, ours["label"].to_numpy())))


def _with(task: Task, settings: Mapping[str, JsonValue]) -> Task:
    """The task with some fields set.

    Raises:
        TaskError: If a field is none, or its value cannot be.
    """
    told: dict[str, Any] = task.model_dump(mode="json", exclude_unset=True)
    for field, value in settings.items():
        *tables, name = field.split(".")
        place = told
        for table in tables:
            place = place.setdefault(table, {})
        place[name] = value
    return parse_task(told, "search space")


def _write(
    study: Any,  # noqa: ANN401
    task: Task,
    space: Space,
    out: Path,
    folds: int,
    test_share: float,
) -> dict[str, Any]:
    done = [trial for trial in study.trials if trial.value is not None]
    if not done:
        raise TaskError("Every trial was refused", str(out), "Look at what was said of each, and mend the space")
    best = min(done, key=lambda trial: (trial.value, trial.number))
    told = {
        "schema_version": SCHEMA_VERSION,
        "settings": best.params,
        "nll": best.value,
        "trial": best.number,
        "trials": [{"trial": t.number, "nll": t.value, "settings": t.params} for t in study.trials],
        "folds": folds,
        "test_share": test_share,
        "space": space.model_dump(mode="json"),
    }
    written_whole(out / "best.json", orjson.dumps(told, option=orjson.OPT_INDENT_2))
    found = _with(task, best.params).model_dump(mode="json", exclude_unset=True)
    written_whole(out / "task.toml", toml_text(found).encode())
    return told


def toml_text(told: Mapping[str, Any], table: str = "") -> str:
    """A mapping of values, lists and tables as TOML; None is left out."""
    values = {k: v for k, v in told.items() if v is not None and not isinstance(v, Mapping)}
    tables = {k: v for k, v in told.items() if isinstance(v, Mapping)}
    head = f"\n[{table}]\n" if table and (values or not tables) else ""
    lines = "".join(f"{_key(k)} = {_toml_value(v)}\n" for k, v in values.items())
    return head + lines + "".join(toml_text(v, f"{table}.{_key(k)}" if table else _key(k)) for k, v in tables.items())


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else _toml_value(name)


def _toml_value(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_toml_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    if isinstance(value, float) and np.isfinite(value):
        return repr(value)
    return orjson.dumps(value).decode()  # words, whole numbers and truth are written alike in JSON and TOML


def _words(settings: Mapping[str, JsonValue]) -> str:
    return ", ".join(f"{k} {v:.2g}" if isinstance(v, float) else f"{k} {v}" for k, v in settings.items())
