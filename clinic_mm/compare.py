"""The comparison: every method on the same patient-level splits, resumable, as one JSON and one HTML page.

    OUT/splits/<repeat>/<method>.parquet, .json   answers and costs, under the key of what made them
    OUT/compare.json  OUT/compare.html

What is there already under the same key (cases, task, recipe, program, method) is taken again; a run that was stopped
goes on where it stopped. Nothing identifying is written: cases go by their keys.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
import orjson
import pandas as pd
from threadpoolctl import threadpool_limits

from clinic_mm.cohort.few_labels import few_labels
from clinic_mm.cohort.manifest import Cohort
from clinic_mm.cohort.split import split_patients
from clinic_mm.cohort.task_cases import labelled_cases
from clinic_mm.errors import TaskError
from clinic_mm.evaluate.compare_page import write_html
from clinic_mm.evaluate.compare_tables import Tables, tables_of
from clinic_mm.evaluate.compared import Compared, Repeat
from clinic_mm.evaluate.distance import NOTHING_KNOWN, Known
from clinic_mm.evaluate.leaks.check import Checks
from clinic_mm.known import known_of
from clinic_mm.prep.batch import PreparedCases, Recipe, fit_preps, plan_recipe, prepare_cases
from clinic_mm.prep.gaps import take
from clinic_mm.prep.noise import Disturbance, How, noisy
from clinic_mm.report.atomic import written_whole
from clinic_mm.task import Task
from clinic_mm.training.contest import FAILED, SHARED, Contest, Entry, ask
from clinic_mm.training.crossval import identity
from clinic_mm.training.methods.base import DEFAULT, check_fusion, check_joins, method, methods
from clinic_mm.training.train import ALONE, Resources
from clinic_mm.worker_process import end_with_parent

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
        noise: Test cases are asked again with one modality disturbed: which, how, and how badly.
        labels: Training cases that keep their labels, None for all: a task with few labels of its own.
    """

    methods: tuple[str, ...]
    repeats: int = 5
    test_share: float = 0.2
    draws: int = 500
    noise: tuple[tuple[str, How, float], ...] = ()
    labels: int | None = None


def plan_of(
    names: str,
    *,
    repeats: int,
    test_share: float,
    draws: int,
    noise: Sequence[str] = (),
    labels: int | None = None,
) -> Plan:
    """A plan from what a person wrote: "all", or names with commas between; disturbances as MODALITY:HOW:LEVEL.

    Raises:
        TaskError: For an unknown name, or a disturbance that is none.
    """
    wanted = list(methods()) if names == ALL_METHODS else [n.strip() for n in names.split(",") if n.strip()]
    chosen = [name for name in wanted if name != DEFAULT]
    for name in chosen:
        method(name)
    # The late average is what every gain is held against.
    return Plan(
        (DEFAULT, *dict.fromkeys([*chosen, "average"])),
        repeats,
        test_share,
        draws,
        tuple(map(_disturbance, noise)),
        labels,
    )


def _disturbance(told: str) -> tuple[str, How, float]:
    """`xray:noise:0` as modality, how, level."""
    modality, how, level = [*told.split(":"), "", ""][:3]
    try:
        return modality, next(known for known in get_args(How) if known == how), float(level)
    except (StopIteration, ValueError):
        mend = f"Write it as xray:noise:0; ways are {', '.join(get_args(How))}"
        raise TaskError(f"{told!r} is no disturbance", "--noise", mend) from None


def compare(
    cohort: Cohort,
    task: Task,
    out: Path,
    plan: Plan,
    *,
    limit: Path | None = None,
    key: Path | None = None,
    accept_leaks: bool = False,
    use: Resources = ALONE,
) -> Tables:
    """Check, compare, and write the folder.

    Args:
        cohort: Where the cases are.
        task: What is asked.
        out: Folder to write; what is kept there is not done again.
        plan: Methods, repeats, shares.
        limit: `limit.json` of a simulated cohort; its truth, where it stands beside, gives the distance to the limit.
        key: The pseudonym key file that the cohort was ingested with, for the truth.
        accept_leaks: Go on in spite of errors of the checks before training; the page tells them.
        use: Workers, cache, progress.

    Raises:
        InputError: If the truth is not of this cohort.
        LeakError: If the checks before training find an error that is not accepted.
        TaskError: If the task has one modality only, no labels, or a fold would lack a class.
    """
    known = known_of([limit], key) if limit else NOTHING_KNOWN
    return compare_prepared(
        [source_of(cohort, task, use, accept_leaks=accept_leaks)], task, out, plan, known=known, use=use
    )


def source_of(cohort: Cohort, task: Task, use: Resources = ALONE, *, accept_leaks: bool = False) -> "Source":
    """The labelled cases of a cohort, checked and prepared.

    Raises:
        LeakError: As `compare`.
        TaskError: If the task has one modality only, or the cohort no labels.
    """
    check_joins(task)
    check_fusion(task)
    cases = labelled_cases(cohort, task)
    checks = Checks(cohort, task, cases, accept_leaks)
    rows = checks.of_rows()
    recipe = fit_preps(cases, cohort.roots, plan_recipe(task))
    prepared = prepare_cases(cases, cohort.roots, recipe, workers=use.workers, cache=use.cache, progress=use.progress)
    errors = tuple(leak.what for leak in checks.of_copies(rows, prepared, recipe).leaks if leak.severity == "error")
    return Source(prepared, recipe, cohort.roots, cohort.info.simulated, errors)


@dataclass(frozen=True, slots=True)
class Source:
    """Prepared cases, where they came from, and the errors of the checks that were accepted."""

    prepared: PreparedCases
    recipe: Recipe
    roots: Mapping[str, Path]
    simulated: bool = False
    leaks: tuple[str, ...] = ()


def compare_prepared(
    sources: Sequence[Source],
    task: Task,
    out: Path,
    plan: Plan,
    *,
    known: Known = NOTHING_KNOWN,
    use: Resources = ALONE,
) -> Tables:
    """Compare on cases that are prepared already; with several workers that many splits at a time.

    Cohorts of one kind (simulated with several seeds) are split each by itself, and scored as repeats of one another.
    """
    if known.best is not None:  # a truth of other cases is refused before anything is fitted
        for source in sources:
            known.best([case.case_key for case in source.prepared.cases], task.modalities[0])
    task = _one_thread(task)
    every = [source for source in sources for _ in range(plan.repeats)]
    splits = [
        _Split(source, task.model_copy(update={"seed": task.seed + number}), out, number, plan, len(every))
        for number, source in enumerate(every)
    ]
    tried = _at_once([split for split in splits if not split.done()], use)
    told: list[dict[str, dict[str, Any]]] = []
    repeats = []
    for split in splits:
        entries = dict(split.entries(use, tried=split.number in tried))
        repeats.append(split.repeat(entries))
        told.append({name: entry.told for name, entry in entries.items()})
    tables = tables_of(Compared(tuple(repeats), plan.draws), told, ours=DEFAULT, known=known)
    about = {
        "target": task.target,
        "modalities": list(task.modalities),
        "learning": task.fusion.learning,
        "n_cases": sum(len(source.prepared) for source in sources),
        "n_patients": len({key for source in sources for key in source.prepared.patients.tolist()}),
        "cohorts": len(sources),
        "repeats": len(splits),
        "test_share": plan.test_share,
        "folds": task.folds,
        "simulated": any(source.simulated for source in sources),
        "labels": plan.labels,
        "accepted_leaks": [told for source in sources for told in source.leaks],
    }
    written_whole(out / "compare.json", orjson.dumps(tables.as_json(about), option=orjson.OPT_INDENT_2))
    write_html(tables, about, out / "compare.html")
    return tables


def _one_thread(task: Task) -> Task:
    """Splits run side by side: threads of several that share the cores would mostly wait for each other."""
    return task.model_copy(update={"train": task.train.model_copy(update={"threads": 1})})


def _at_once(splits: Sequence["_Split"], use: Resources) -> set[int]:
    """Several splits in processes of their own, which leave their answers on disk; returns their numbers.

    One alone is done by the caller.
    """
    if use.workers < 2 or len(splits) < 2:
        return set()
    # Not fork: the parent may hold threads of torch or OpenBLAS. Ctrl-C reaches a split too: it takes minutes.
    with ProcessPoolExecutor(use.workers, mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
        for number in pool.map(_alone, splits):
            use.say(f"repeat {number + 1} is done")
    return {split.number for split in splits}


def _alone(split: "_Split") -> int:
    """One split in a process of its own, with one thread."""
    with threadpool_limits(1):
        for _ in split.entries(ALONE):
            pass
    return split.number


@dataclass(frozen=True, slots=True)
class _Split:
    """One repeat."""

    source: Source
    task: Task
    out: Path
    number: int
    plan: Plan
    of: int

    @property
    def folder(self) -> Path:
        return self.out / "splits" / str(self.number + 1)

    def done(self) -> bool:
        """Whether every method has answered already."""
        held = self.held()
        kept = [self._kept(name, held) for name in (SHARED, *self.plan.methods)]
        return all(entry is not None and not entry.told.get(FAILED) for entry in kept)

    def held(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Test cases; those with nothing at all are in neither part."""
        labels = self.source.prepared.labels.tolist()
        patients = self.source.prepared.patients.tolist()
        return split_patients(patients, test_share=self.plan.test_share, seed=self.task.seed, labels=labels)

    def entries(self, use: Resources, *, tried: bool = False) -> Iterator[tuple[str, Entry]]:
        """Kept ones first of all; the experts are fitted only where something lacks.

        What failed by our fault is tried again in each run; `tried` says that this run has done so.
        """
        held = self.held()
        contest: Contest | None = None
        for name in (SHARED, *self.plan.methods):
            entry = self._kept(name, held)
            if entry is None or (entry.told.get(FAILED) and not tried):
                contest = contest or self._contest(held, use)
                use.say(f"repeat {self.number + 1} of {self.of}: {name}")
                entry = contest.experts() if name == SHARED else contest.enter(name)
                self._keep(entry, held)
            yield name, entry

    def _contest(self, held: np.ndarray[Any, np.dtype[np.bool_]], use: Resources) -> Contest:
        some = self.source.prepared.present.any(axis=1)
        train, test = (take(self.source.prepared, np.flatnonzero(part & some)) for part in (~held, held))
        asked = ask(test, self.source.recipe, self.task.seed, self._disturbed(test, use))
        if self.plan.labels is None:
            return Contest(train, asked, self.source.recipe, self.task, use.say)
        kept = few_labels(train.patients.tolist(), train.labels, self.plan.labels, self.task.seed)
        few, others = (take(train, np.flatnonzero(part)) for part in (kept, ~kept))
        return Contest(few, asked, self.source.recipe, self.task, use.say, others)

    def _disturbed(self, test: PreparedCases, use: Resources) -> dict[tuple[str, float], PreparedCases]:
        """Test cases with one modality read again, disturbed."""
        found = {}
        for modality, how, level in self.plan.noise:
            use.say(f"repeat {self.number + 1} of {self.of}: {modality} with {how} {level:g}")
            disturbance = Disturbance(how, level, self.task.seed)
            cases = noisy(test, self.source.recipe, self.source.roots, modality, disturbance, workers=use.workers)
            found[f"{modality} {how}", level] = cases
        return found

    def _key(self, name: str, held: np.ndarray[Any, np.dtype[np.bool_]]) -> str:
        told = [name, str(self.plan.noise), str(self.plan.labels)]
        return identity(self.source.prepared, self.source.recipe, self.task, held, told)

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
        held = self.held() & self.source.prepared.present.any(axis=1)
        test = take(self.source.prepared, np.flatnonzero(held))
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
