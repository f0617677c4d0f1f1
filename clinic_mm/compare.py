"""The comparison: every method on the same patient-level splits, resumable, as one JSON and one HTML page.

    OUT/splits/<repeat>/cases.parquet, .json      who is asked, and what they have
    OUT/splits/<repeat>/<method>.parquet, .json   answers and costs, under the key of what made them
    OUT/compare.json  OUT/compare.html

What is there already under the same key (cases, task, recipe, program, method) is taken again; a run that was stopped
goes on where it stopped. Nothing identifying is written: cases go by their keys.
"""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, get_args

import orjson
from threadpoolctl import threadpool_limits

from clinic_mm.cohort.manifest import Cohort
from clinic_mm.cohort.task_cases import labelled_cases
from clinic_mm.errors import TaskError
from clinic_mm.evaluate.compare_page import write_html
from clinic_mm.evaluate.compare_tables import Tables, tables_of
from clinic_mm.evaluate.compared_answers import Compared
from clinic_mm.evaluate.distance import NOTHING_KNOWN, Known
from clinic_mm.evaluate.leaks.check import Checks
from clinic_mm.known import known_of
from clinic_mm.prep.batch import fit_preps, plan_recipe, prepare_cases
from clinic_mm.prep.noise import How
from clinic_mm.prep.relearn import Relearn
from clinic_mm.report.atomic import written_whole
from clinic_mm.task import Task
from clinic_mm.training.compared_split import Plan, Source, Split
from clinic_mm.training.methods.base import DEFAULT, check_fusion, check_joins, method, methods
from clinic_mm.training.train import ALONE, Resources
from clinic_mm.worker_process import end_with_parent

ALL_METHODS: Final = "all"


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


def source_of(cohort: Cohort, task: Task, use: Resources = ALONE, *, accept_leaks: bool = False) -> Source:
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
    relearn = Relearn(cohort.roots, cache=use.cache)  # splits run side by side: each reads alone
    return Source(prepared, recipe, relearn, cohort.info.simulated, errors)


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
        Split(source, task.model_copy(update={"seed": task.seed + number}), out, number, plan, len(every))
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


def _at_once(splits: Sequence[Split], use: Resources) -> set[int]:
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


def _alone(split: Split) -> int:
    """One split in a process of its own, with one thread."""
    with threadpool_limits(1):
        for _ in split.entries(ALONE):
            pass
    return split.number
