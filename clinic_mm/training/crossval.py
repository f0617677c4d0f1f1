"""Repeated cross-validation by patient: the model, its own baselines and simple ones, on the same folds in one run.

In:  prepared, labelled cases, their recipe, a task. Out: a tidy frame for `evaluate.table` and `evaluate.curves`, with
columns repeat, fold, dropped and rate.

In each outer fold everything is fitted anew on the other folds: experts, pool, calibration, every choice. The test part
is answered as it is and, for curves, with more and more of it dropped. What preparation learns (which codes are common
enough, components of omics) is learnt anew too, where the evidence can be read again.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import orjson
import pandas as pd
from numpy import ndarray as Array

from clinic_mm.cohort.split import check_disjoint
from clinic_mm.cohort.split import folds as by_patient
from clinic_mm.evaluate.missingness import RATES, drop_columns, drop_modalities
from clinic_mm.predict.answers import answers, tidy
from clinic_mm.prep.batch import PreparedCases, Recipe
from clinic_mm.prep.gaps import hide, lose_parameters, parameters, take
from clinic_mm.prep.relearn import Relearn
from clinic_mm.task import Task
from clinic_mm.training.fit import fit_model
from clinic_mm.training.program import program
from clinic_mm.training.simple import Baseline
from clinic_mm.training.split import left_aside

Baselines = Callable[[Recipe], Mapping[str, Baseline]]
Say = Callable[[str], None]
NOTHING: Final = "nothing"


@dataclass(frozen=True, slots=True)
class Loss:
    """What is taken from the test cases: of what, and at which rate."""

    dropped: str
    rate: float
    take_away: Callable[[PreparedCases, Recipe, float, int], PreparedCases]


def without_parameters(prepared: PreparedCases, recipe: Recipe, rate: float, seed: int) -> PreparedCases:
    """Each parameter of each record missing with probability `rate`, whatever modality it belongs to."""
    gone = {}
    for column, (name, prep) in enumerate(recipe.preps.items()):
        if codes := parameters(prep):
            ones = np.ones((len(prepared), len(codes)))
            gone[name] = np.isnan(drop_columns(ones, rate, 100 * seed + column, parameter=codes))
    return lose_parameters(prepared, recipe, gone)


def without_modalities(prepared: PreparedCases, recipe: Recipe, rate: float, seed: int) -> PreparedCases:
    """Each modality of each case missing with probability `rate`; one is always left."""
    del recipe
    return hide(prepared, drop_modalities(prepared.present, rate, seed))


LOSSES: Final = tuple(
    Loss(dropped, rate, how)
    for dropped, how in (("parameters", without_parameters), ("modalities", without_modalities))
    for rate in RATES
    if rate > 0
)
"""The two curves of METHODS §5."""


def cross_validate(
    prepared: PreparedCases,
    recipe: Recipe,
    task: Task,
    *,
    relearn: Relearn | None,
    repeats: int,
    folds: int,
    extra: Baselines = lambda _: {},
    losses: tuple[Loss, ...] = (),
    keep: Path | None = None,
    say: Say = lambda _: None,
) -> pd.DataFrame:
    """Cross-validate.

    Args:
        prepared: Labelled cases.
        recipe: How they were prepared.
        task: What is asked; its seed is that of the first repeat.
        relearn: Where evidence is read again for what each fold learns; None where the recipe was learnt from other
            cases than these, or looks at no label and serves a choice among training cases (docs/decisions/0003).
        repeats: How often the folds are drawn anew.
        folds: Outer folds of each repeat.
        extra: Simple baselines by name, for a recipe.
        losses: What is dropped from the test cases, for curves.
        keep: Folder where finished folds are kept, so that an interrupted run goes on; they are taken again only
            for the same cases, task, recipe and program.
        say: Told what is being done.

    Returns:
        One row per repeat, case, method and loss; `dropped` is "nothing" and `rate` 0 for the cases as they are.

    Raises:
        TaskError: If there are too few patients of a class for the folds, or as `fit_model`.
    """
    parts = []
    for repeat in range(repeats):
        asked = task.model_copy(update={"seed": task.seed + repeat})
        fold = by_patient(prepared.patients.tolist(), prepared.labels.tolist(), folds, asked.seed)
        for k in range(folds):
            name = f"repeat {repeat + 1} of {repeats}, fold {k + 1} of {folds}"
            told = [*extra(recipe), *(f"{x.dropped}{x.rate}" for x in losses)]
            key = identity(prepared, recipe, asked, fold == k, told)
            path = keep / f"{key}.parquet" if keep else None
            if path and path.is_file():
                part = pd.read_parquet(path)
            else:
                say(name)
                one = _Fold(*_learnt(prepared, recipe, asked, fold == k, relearn), asked, fold == k, extra, losses)
                part = pd.concat(list(one.answers(say)), ignore_index=True)
                if path:
                    _write(part, path)
            parts.append(part.assign(repeat=repeat, fold=k))
    return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True, slots=True)
class _Fold:
    """One outer fold."""

    prepared: PreparedCases
    recipe: Recipe
    task: Task
    held: Array
    baselines: Baselines
    losses: tuple[Loss, ...]

    def answers(self, say: Say) -> Iterator[pd.DataFrame]:
        """Everything that is fitted without the held cases answers them, whole and with losses."""
        train, test = (take(self.prepared, np.flatnonzero(part)) for part in (~self.held, self.held))
        check_disjoint(train.patients.tolist(), test.patients.tolist())
        model = fit_model(train, self.recipe, self.task, say)
        n_classes = len(self.task.classes)
        fitted = {name: fit(train, n_classes, self.task.seed) for name, fit in self.baselines(self.recipe).items()}
        whole = Loss(NOTHING, 0.0, lambda cases, *_: cases)
        for loss in (whole, *self.losses):
            given = loss.take_away(test, self.recipe, loss.rate, self.task.seed)
            simple = (
                tidy({name: answer(given) for name, answer in fitted.items()}, given, every=True) if fitted else None
            )
            frame = pd.concat([answers(model, given, every=True), simple], ignore_index=True)
            yield frame.assign(dropped=loss.dropped, rate=loss.rate)


def _learnt(
    prepared: PreparedCases, recipe: Recipe, task: Task, held: Array, relearn: Relearn | None
) -> tuple[PreparedCases, Recipe]:
    """As the training cases of a fold alone would have had it."""
    return (
        relearn(prepared, recipe, task, ~held & ~left_aside(prepared, ~held, task)) if relearn else (prepared, recipe)
    )


def identity(prepared: PreparedCases, recipe: Recipe, task: Task, held: Array, names: list[str]) -> str:
    """Identity of a split: its cases, the task, the recipe, what is compared, and the program."""
    told = [
        program(),
        task.model_dump(mode="json"),
        [prep.key for prep in recipe.preps.values()],
        names,
        [[c.case_key, c.label, bool(h)] for c, h in zip(prepared.cases, held, strict=True)],
    ]
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()[:24]


def _write(frame: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    frame.to_parquet(part, index=False)
    part.replace(path)
