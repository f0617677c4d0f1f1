"""One split of a comparison on disk: every method's answers and costs, under the key of what made them.

In:  a source of prepared cases, a task, a plan, the folder. Out: entries one by one, and the repeat that is scored.

Each split learns everything from its own training cases, what preparation learns too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pandas as pd

from clinic_mm.cohort.few_labels import few_labels
from clinic_mm.cohort.split import split_patients
from clinic_mm.errors import InputError
from clinic_mm.evaluate.compared_answers import Repeat
from clinic_mm.prep.batch import PreparedCases, Recipe
from clinic_mm.prep.gaps import take
from clinic_mm.prep.noise import Disturbance, How, noisy
from clinic_mm.prep.relearn import Relearn
from clinic_mm.report.atomic import written_whole
from clinic_mm.task import Task
from clinic_mm.training.contest import FAILED, SHARED, Contest, Entry, ask
from clinic_mm.training.crossval import identity
from clinic_mm.training.split import left_aside
from clinic_mm.training.train import Resources

CASES: Final = "cases"
Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is compared.

    Attributes:
        methods: Names, the default among them.
        repeats: Splits.
        test_share: Share of the patients that are tested in each.
        draws: Of the bootstrap.
        noise: Test cases are asked again with one modality disturbed: which, how, and how badly.
        labels: Training cases that keep their labels, None for all: a task with few labels of its own.
    """

    methods: tuple[str, ...]
    repeats: int = 5
    test_share: float = 0.2
    draws: int = 500
    noise: tuple[tuple[str, How, float], ...] = ()
    labels: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Prepared cases, where they came from, and the errors of the checks that were accepted.

    Each split learns its own recipe with `relearn`; None where the recipe was learnt from other cases than these.
    """

    prepared: PreparedCases
    recipe: Recipe
    relearn: Relearn | None
    simulated: bool = False
    leaks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Split:
    """One repeat."""

    source: Source
    task: Task
    out: Path
    number: int
    plan: Plan
    of: int

    @property
    def folder(self) -> Path:
        """Where its answers are kept."""
        return self.out / "splits" / str(self.number + 1)

    def done(self) -> bool:
        """Whether every method has answered already."""
        held = self.held()
        kept = [self._kept(name, held) for name in (CASES, SHARED, *self.plan.methods)]
        return all(entry is not None and not entry.told.get(FAILED) for entry in kept)

    def held(self) -> Mask:
        """Test cases; those with nothing at all are in neither part."""
        labels = self.source.prepared.labels.tolist()
        patients = self.source.prepared.patients.tolist()
        return split_patients(patients, test_share=self.plan.test_share, seed=self.task.seed, labels=labels)

    def entries(self, use: Resources, *, tried: bool = False) -> Iterator[tuple[str, Entry]]:
        """Kept ones first of all; the experts are fitted only where something lacks.

        What failed by our fault is tried again in each run; `tried` says that this run has done so.
        """
        held = self.held()
        contest = None if self._kept(CASES, held) else self._contest(held, use)
        for name in (SHARED, *self.plan.methods):
            entry = self._kept(name, held)
            if entry is None or (entry.told.get(FAILED) and not tried):
                contest = contest or self._contest(held, use)
                use.say(f"repeat {self.number + 1} of {self.of}: {name}")
                entry = contest.experts() if name == SHARED else contest.enter(name)
                self._keep(entry, held)
            yield name, entry

    def _contest(self, held: Mask, use: Resources) -> Contest:
        train, known = ~held & self.source.prepared.present.any(axis=1), self.source.prepared.labels
        labelled = train.copy()
        if self.plan.labels is not None:
            patients = self.source.prepared.patients[train].tolist()
            labelled[train] = few_labels(patients, known[train], self.plan.labels, self.task.seed)
        prepared, recipe = self._learnt(train & ~left_aside(self.source.prepared, labelled, self.task))
        test = take(prepared, np.flatnonzero(held & prepared.present.any(axis=1)))
        self._keep(Entry(CASES, _who(test), {}), held)
        asked = ask(test, recipe, self.task.seed, self._disturbed(test, recipe, use))
        others = take(prepared, np.flatnonzero(train & ~labelled)) if self.plan.labels is not None else None
        return Contest(take(prepared, np.flatnonzero(labelled)), asked, recipe, self.task, use.say, others)

    def _learnt(self, mine: Mask) -> tuple[PreparedCases, Recipe]:
        """All cases as the training cases of this split alone would have them prepared."""
        source = self.source
        if source.relearn is None:
            return source.prepared, source.recipe
        return source.relearn(source.prepared, source.recipe, self.task, mine)

    def _disturbed(self, test: PreparedCases, recipe: Recipe, use: Resources) -> dict[tuple[str, float], PreparedCases]:
        """Test cases with one modality read again, disturbed."""
        found = {}
        roots = self.source.relearn.roots if self.source.relearn else {}
        for modality, how, level in self.plan.noise:
            use.say(f"repeat {self.number + 1} of {self.of}: {modality} with {how} {level:g}")
            disturbance = Disturbance(how, level, self.task.seed)
            found[f"{modality} {how}", level] = noisy(test, recipe, roots, modality, disturbance, workers=use.workers)
        return found

    def _key(self, name: str, held: Mask) -> str:
        told = [name, str(self.plan.noise), str(self.plan.labels)]
        return identity(self.source.prepared, self.source.recipe, self.task, held, told)

    def _kept(self, name: str, held: Mask) -> Entry | None:
        told_at = self.folder / f"{_file(name)}.json"
        if not told_at.is_file():
            return None
        told = orjson.loads(told_at.read_bytes())
        if told.pop("key", "") != self._key(name, held):
            return None
        frame = told_at.with_suffix(".parquet")
        return Entry(name, pd.read_parquet(frame) if frame.is_file() else pd.DataFrame(), told)

    def _keep(self, entry: Entry, held: Mask) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{_file(entry.name)}.parquet"
        path.unlink(missing_ok=True)
        if len(entry.answers):
            part = path.with_suffix(".part")
            few = {name: "category" for name in ("pattern", "kind") if name in entry.answers}
            entry.answers.astype(few).to_parquet(part, index=False)
            part.replace(path)
        told = {**entry.told, "key": self._key(entry.name, held)}
        written_whole(path.with_suffix(".json"), orjson.dumps(told, option=orjson.OPT_INDENT_2))

    def repeat(self, entries: dict[str, Entry]) -> Repeat:
        """The test cases and all answers; the experts' frame holds several methods."""
        asked = self._kept(CASES, self.held())
        if asked is None:
            raise InputError("The test cases of a split are gone", str(self.folder), "Run the same command again")
        answers: dict[str, pd.DataFrame] = {}
        for entry in entries.values():
            for name, part in entry.answers.groupby("method", sort=False) if len(entry.answers) else ():
                answers[str(name)] = part.astype({"pattern": object, "kind": object}).reset_index(drop=True)
        return Repeat(asked.answers, _in_order(answers, self.plan.methods), self.task.seed)


def _who(test: PreparedCases) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "case_key": [case.case_key for case in test.cases],
            "patient_key": test.patients,
            "label": test.labels,
            "own": ["+".join(p) for p in test.patterns()],
        }
    )


def _in_order(answers: dict[str, pd.DataFrame], names: Sequence[str]) -> dict[str, pd.DataFrame]:
    first = [name for name in names if name in answers]
    return {name: answers[name] for name in (*first, *(n for n in answers if n not in first))}


def _file(name: str) -> str:
    return name.replace(":", "_").replace("/", "_")
