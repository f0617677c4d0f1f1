"""The comparison: every method on the same patient-level splits, resumable, as one JSON and one HTML page.

    OUT/splits/<repeat>/cases.parquet             the test cases
    OUT/splits/<repeat>/<method>.parquet, .json   answers and costs, under the key of what made them
    OUT/compare.json  OUT/compare.html

What is there already under the same key (cases, task, recipe, program, method) is taken again; a run that was stopped
goes on where it stopped. Nothing identifying is written: cases go by their keys.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pandas as pd

from clinic_mm.cohort.manifest import Cohort
from clinic_mm.cohort.split import split_patients
from clinic_mm.evaluate.compare_page import write_html
from clinic_mm.evaluate.compare_tables import Tables, tables_of
from clinic_mm.evaluate.compared import Compared, Repeat
from clinic_mm.jobs.evaluate import read_limits
from clinic_mm.prep.batch import PreparedCases, Recipe, fit_preps, plan_recipe, prepare_cases
from clinic_mm.prep.gaps import take
from clinic_mm.report.atomic import written_whole
from clinic_mm.task import Task
from clinic_mm.training.contest import SHARED, Contest, Entry, ask
from clinic_mm.training.crossval import identity
from clinic_mm.training.methods.base import DEFAULT, check_fusion, check_joins, method, methods
from clinic_mm.training.train import ALONE, Resources, training_cases

ALL_METHODS: Final = "all"
CASES: Final = "cases"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is compared.

    Attributes:
        methods: Names, the default among them.
        repeats: Splits.
        test_share: Share of the patients that are tested in each.
        draws: Of the bootstrap.
    """

    methods: tuple[str, ...]
    repeats: int = 5
    test_share: float = 0.2
    draws: int = 500


def plan_of(names: str, *, repeats: int, test_share: float, draws: int) -> Plan:
    """A plan from what a person wrote: "all", or names with commas between.

    Raises:
        TaskError: For an unknown name.
    """
    wanted = list(methods()) if names == ALL_METHODS else [n.strip() for n in names.split(",") if n.strip()]
    chosen = [name for name in wanted if name != DEFAULT]
    for name in chosen:
        method(name)
    return Plan((DEFAULT, *dict.fromkeys(chosen)), repeats, test_share, draws)


def compare(
    cohort: Cohort,
    task: Task,
    out: Path,
    plan: Plan,
    *,
    limit: Path | None = None,
    use: Resources = ALONE,
) -> Tables:
    """Compare, and write the folder.

    Raises:
        TaskError: If the task has one modality only, no labels, or a fold would lack a class.
    """
    check_joins(task)
    check_fusion(task)
    limits = read_limits(limit) if limit else None
    cases = training_cases(cohort, task, 0.0)
    recipe = fit_preps(cases, cohort.roots, plan_recipe(task))
    prepared = prepare_cases(cases, cohort.roots, recipe, workers=use.workers, cache=use.cache, progress=use.progress)
    return compare_prepared(prepared, recipe, task, out, plan, limits=limits, simulated=cohort.info.simulated, use=use)


def compare_prepared(
    prepared: PreparedCases,
    recipe: Recipe,
    task: Task,
    out: Path,
    plan: Plan,
    *,
    limits: dict[str, float] | None = None,
    simulated: bool = False,
    use: Resources = ALONE,
) -> Tables:
    """Compare on cases that are prepared already."""
    told: list[dict[str, dict[str, Any]]] = []
    repeats = []
    for number in range(plan.repeats):
        split = _Split(prepared, recipe, task.model_copy(update={"seed": task.seed + number}), out, number, plan)
        entries = dict(split.entries(use))
        repeats.append(split.repeat(entries))
        told.append({name: entry.told for name, entry in entries.items()})
    tables = tables_of(Compared(tuple(repeats), plan.draws), told, ours=DEFAULT, limits=limits)
    about = {
        "target": task.target,
        "modalities": list(task.modalities),
        "learning": task.fusion.learning,
        "n_cases": len(prepared),
        "n_patients": len(set(prepared.patients.tolist())),
        "repeats": plan.repeats,
        "test_share": plan.test_share,
        "folds": task.folds,
        "simulated": simulated,
    }
    written_whole(out / "compare.json", orjson.dumps(tables.as_json(about), option=orjson.OPT_INDENT_2))
    write_html(tables, about, out / "compare.html")
    return tables


@dataclass(frozen=True, slots=True)
class _Split:
    """One repeat."""

    prepared: PreparedCases
    recipe: Recipe
    task: Task
    out: Path
    number: int
    plan: Plan

    @property
    def folder(self) -> Path:
        return self.out / "splits" / str(self.number + 1)

    def held(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Test cases; those with nothing at all are in neither part."""
        labels = self.prepared.labels.tolist()
        patients = self.prepared.patients.tolist()
        return split_patients(patients, test_share=self.plan.test_share, seed=self.task.seed, labels=labels)

    def entries(self, use: Resources) -> Iterator[tuple[str, Entry]]:
        """Kept ones first of all; the experts are fitted only where something lacks."""
        held = self.held()
        contest: Contest | None = None
        for name in (SHARED, *self.plan.methods):
            entry = self._kept(name, held)
            if entry is None:
                contest = contest or self._contest(held, use)
                use.say(f"repeat {self.number + 1} of {self.plan.repeats}: {name}")
                entry = contest.experts() if name == SHARED else contest.enter(name)
                self._keep(entry, held)
            yield name, entry

    def _contest(self, held: np.ndarray[Any, np.dtype[np.bool_]], use: Resources) -> Contest:
        some = self.prepared.present.any(axis=1)
        train, test = (take(self.prepared, np.flatnonzero(part & some)) for part in (~held, held))
        return Contest(train, ask(test, self.recipe, self.task.seed), self.recipe, self.task, use.say)

    def _key(self, name: str, held: np.ndarray[Any, np.dtype[np.bool_]]) -> str:
        return identity(self.prepared, self.recipe, self.task, held, [name])

    def _kept(self, name: str, held: np.ndarray[Any, np.dtype[np.bool_]]) -> Entry | None:
        told_at = self.folder / f"{_file(name)}.json"
        if not told_at.is_file():
            return None
        told = orjson.loads(told_at.read_bytes())
        if told.pop("key", "") != self._key(name, held):
            return None
        frame = told_at.with_suffix(".parquet")
        return Entry(name, pd.read_parquet(frame) if frame.is_file() else pd.DataFrame(), told)

    def _keep(self, entry: Entry, held: np.ndarray[Any, np.dtype[np.bool_]]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{_file(entry.name)}.parquet"
        path.unlink(missing_ok=True)
        if len(entry.answers):
            part = path.with_suffix(".part")
            entry.answers.astype({"pattern": "category", "kind": "category"}).to_parquet(part, index=False)
            part.replace(path)
        told = {**entry.told, "key": self._key(entry.name, held)}
        written_whole(path.with_suffix(".json"), orjson.dumps(told, option=orjson.OPT_INDENT_2))

    def repeat(self, entries: dict[str, Entry]) -> Repeat:
        """The test cases and all answers; the experts' frame holds several methods."""
        held = self.held() & self.prepared.present.any(axis=1)
        test = take(self.prepared, np.flatnonzero(held))
        cases = pd.DataFrame(
            {
                "case_key": [case.case_key for case in test.cases],
                "patient_key": test.patients,
                "label": test.labels,
                "own": ["+".join(p) for p in test.patterns()],
            }
        )
        answers: dict[str, pd.DataFrame] = {}
        for entry in entries.values():
            for name, part in entry.answers.groupby("method", sort=False) if len(entry.answers) else ():
                answers[str(name)] = part.astype({"pattern": object, "kind": object}).reset_index(drop=True)
        return Repeat(cases, _in_order(answers, self.plan.methods), self.task.seed)


def _in_order(answers: dict[str, pd.DataFrame], names: Sequence[str]) -> dict[str, pd.DataFrame]:
    first = [name for name in names if name in answers]
    return {name: answers[name] for name in (*first, *(n for n in answers if n not in first))}


def _file(name: str) -> str:
    return name.replace(":", "_").replace("/", "_")
