"""A cohort as one flat table of features, for boosted trees and statistics of one's own.

In:  an open cohort, a task (or none: the record alone), or an earlier table whose columns are wanted again.
Out: a Parquet file with one row per case: who, when, the label where there is one, and each feature as of then.

The columns are learnt from the cases without looking at a label, and stand in the file's own metadata: a table made
like another has the same columns, whatever its cases have. Nothing here splits, fills gaps or scales.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import JsonValue, ValidationError

from clinic_mm.cohort.manifest import Cohort
from clinic_mm.cohort.task_cases import task_cases
from clinic_mm.errors import InputError, TaskError, UsageError
from clinic_mm.prep.base import make_prep
from clinic_mm.prep.batch import PreparedCases, Progress, Recipe, fit_preps, plan_recipe, prepare_cases
from clinic_mm.sources.record.rows import TIME_TYPE
from clinic_mm.task import Task, parse_task
from clinic_mm.types import SCHEMA_VERSION, CaseRecord, Frozen

WHO: Final = ("case_key", "patient_key", "decision_time", "label")
"""The first columns; the features follow."""
ABOUT: Final = b"clinic_mm.features"
RECORD_ALONE: Final = {"target": "label", "modalities": ["record"], "size": "base"}
MEND: Final = "Name a table that clinic-mm features wrote"


class _About(Frozen):
    """How the columns of a table were made."""

    schema_version: str = SCHEMA_VERSION
    task: Task
    recipes: dict[str, dict[str, JsonValue]]

    def recipe(self) -> Recipe:
        """The preps of the table's modalities."""
        preps = {name: make_prep(self.task.kind_of(name), recipe) for name, recipe in self.recipes.items()}
        return Recipe(preps, self.task.select)


@dataclass(frozen=True, slots=True)
class FeatureCounts:
    """What a table holds: cases, features, and cases of which nothing is known."""

    cases: int
    features: int
    empty: int


def write_features(
    cohort: Cohort,
    out: Path,
    *,
    task: Task | None = None,
    like: Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> FeatureCounts:
    """Write the table.

    Args:
        cohort: Where the cases are.
        out: A Parquet file, new or an earlier table.
        task: Which modalities, codes and decision time; the record alone, at the labels' own, where None. Numbers of a
            record always come with trend and distance to the reference range.
        like: An earlier table whose columns are wanted; it brings its own task.
        workers: Processes that read and prepare.
        progress: Told how many cases are done, and of how many.

    Raises:
        UsageError: If `out` is not called .parquet, or both `task` and `like` are given.
        InputError: If `out` is another file, or `like` is not a table of features.
        TaskError: If column, time or labels do not fit.
    """
    _check_free(out)
    if task and like:
        raise UsageError("A table made like another has that one's task", "--like", "Leave --task out")
    about = _read_about(like) if like else None
    asked = about.task if about else _with_all_summaries(task or parse_task(RECORD_ALONE))
    cases = _cases(cohort, asked, labelled=about is not None or task is not None)
    recipe = about.recipe() if about else fit_preps(cases, cohort.roots, plan_recipe(asked))
    prepared = prepare_cases(cases, cohort.roots, recipe, workers=workers, progress=progress)
    frame = feature_frame(prepared, recipe)
    _write(frame, out, _About(task=asked, recipes={name: prep.recipe for name, prep in recipe.preps.items()}))
    features = frame.drop(columns=list(WHO))
    return FeatureCounts(len(frame), features.shape[1], int(features.isna().all(axis=1).sum()))


def feature_frame(prepared: PreparedCases, recipe: Recipe) -> pd.DataFrame:
    """Prepared cases as a table: WHO, then the plain summaries of each modality as float32, NaN where unknown.

    A feature is named as its prep names it; `labs: …` where there are several modalities.
    """
    who = pd.DataFrame(
        {
            "case_key": [case.case_key for case in prepared.cases],
            "patient_key": [case.patient_key for case in prepared.cases],
            "decision_time": pd.Series([case.decision_time for case in prepared.cases], dtype=TIME_TYPE),
            "label": pd.array([case.label for case in prepared.cases], dtype="Int64"),
        }
    )
    several = len(recipe.names) > 1
    parts = [
        pd.DataFrame(
            prepared.plain[name],
            columns=[f"{name}: {told}" if several else told for told in recipe.preps[name].plain_names],
        )
        for name in recipe.names
    ]
    return pd.concat([who, *parts], axis=1)


def _with_all_summaries(task: Task) -> Task:
    """The same task with trend and range in its records: who wants fewer columns drops them."""
    asked = {
        name: task.options(name).model_copy(update={"kind": "record", "summaries": ("trend", "range")})
        for name in task.modalities
        if task.kind_of(name) == "record"
    }
    return task.model_copy(update={"modality": task.modality | asked})


def _cases(cohort: Cohort, task: Task, *, labelled: bool) -> tuple[CaseRecord, ...]:
    if labelled and cohort.labels is not None and task.target not in cohort.labels:
        known = ", ".join(map(str, cohort.labels.columns))
        raise TaskError(f"The labels have no column {task.target!r}", "target", f"They have: {known}")
    cases = task_cases(cohort, task)
    if not cases:
        raise TaskError("The cohort has no case", "decision_time", "Fill in the decision times, and ingest again")
    return cases


def _check_free(out: Path) -> None:
    if out.suffix != ".parquet":
        raise UsageError(f"{out.name!r} is not called .parquet", "--out", "Write --out features.parquet")
    if out.exists() and _metadata(out) is None:
        raise InputError("There is another file, or a folder, of that name", str(out), "Name a new file")


def _read_about(path: Path) -> _About:
    if (text := _metadata(path)) is None:
        raise InputError("This is not a table of features", str(path), MEND)
    try:
        about = _About.model_validate_json(text)
    except (ValidationError, TaskError):
        raise InputError("The table of features is damaged or newer", str(path), MEND) from None
    if about.schema_version.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
        raise InputError(f"A table of the unknown version {about.schema_version}", str(path), MEND)
    return about


def _metadata(path: Path) -> bytes | None:
    try:
        return (pq.read_schema(path).metadata or {}).get(ABOUT)
    except (OSError, pa.ArrowException):
        return None


def _write(frame: pd.DataFrame, out: Path, about: _About) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    told = {**(table.schema.metadata or {}), ABOUT: about.model_dump_json().encode()}
    part = out.with_name(f"{out.name}.{os.getpid()}.part")
    out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata(told), part, compression="zstd")
    part.replace(out)
