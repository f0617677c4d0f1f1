"""Compute and keep saliency: where hiding the evidence of a case changes what the deployed experts say.

In:  a run or a model, a cohort, which cases. Out: one sealed file per case and modality, and rows that say what became
of each (`jobs.saliency_piece`).

A stopped job goes on where it stopped. Nothing is computed that was not asked for: an expert is asked hundreds of times
per piece.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import torch

from clinic_mm.cohort.task_cases import task_cases
from clinic_mm.errors import InputError, UsageError
from clinic_mm.jobs.saliency_piece import Places, Row, Unit, Work, explained, opened
from clinic_mm.predict.deploy import runtime_told
from clinic_mm.predict.predictor import predict_cases
from clinic_mm.prep.batch import Progress, prepare_cases
from clinic_mm.prep.cache import PrepCache
from clinic_mm.report.saliency_store import requested, settle, write_skipped
from clinic_mm.types import CaseRecord
from clinic_mm.worker_process import begin

POOL_FROM: Final = 6
"""Pieces of evidence from which on starting worker processes pays."""
DIED: Final = "A worker process died: run it again with --workers 1"
_SHARED: Final[list[Work]] = []
"""What a worker process opened; empty in the parent."""


@dataclass(frozen=True, slots=True)
class SaliencyOptions:
    """How much to compute, and with what: modalities (all that can be hidden where none is named), workers, cache.

    `say` is told what runs the networks.
    """

    modalities: tuple[str, ...] = ()
    workers: int = 1
    cache: PrepCache | None = None
    progress: Progress | None = None
    say: Callable[[str], None] = lambda _: None


DEFAULTS: Final = SaliencyOptions()


def saliency(
    given: Path,
    cohort_folder: Path | None = None,
    *,
    case_key: str = "",
    top: int = 0,
    wishes: bool = False,
    out: Path | None = None,
    options: SaliencyOptions = DEFAULTS,
) -> list[Row]:
    """Compute what is asked for and not there yet.

    Args:
        given: A run folder, or a model folder.
        cohort_folder: Where the evidence lies; the run's own cohort where None.
        case_key: One case; or else
        top: As many cases, the most probable first (of the second of two classes, or of any class that is not the
            first of more); only such as have an answer.
        wishes: Instead: the cases that readers of the dashboard asked for; those that are gone are passed over.
        out: Folder to write; `saliency` inside the run where None.
        options: Which modalities, workers, cache, whom to tell how far it is.

    Raises:
        UsageError: If it is not said for which case, or where to write.
        InputError: If the cohort does not form the case.
        ArtifactError: If run or model cannot be read, or the run is of another model than its folder now holds.
    """
    if bool(case_key) + bool(top) + wishes != 1:
        raise UsageError("Say for which cases", "saliency", "Give --case KEY, --top 50 or --requested")
    work = opened(given, cohort_folder, out)
    experts = work.experts(options.modalities)
    if told := runtime_told(work.model):
        options.say(told)
    cases = {case.case_key: case for case in task_cases(work.cohort, work.model.task)}
    asked_for = requested(work.out) if wishes else ()
    if wishes:
        keys = [key for key in asked_for if key in cases]
    else:
        keys = [case_key] if case_key else _top(work, cases, top, options)
    if lost := [key for key in keys if key not in cases]:
        mend = "Name the cohort that was screened" if work.run else "See clinic-mm describe"
        raise InputError(f"The cohort does not form {len(lost)} of these cases", f"case {lost[0]}", mend)
    units = [(cases[key], expert.name) for key in keys for expert in experts]
    rows = []
    for row in _each(work, units, options.workers):
        rows.append(row)
        if options.progress:
            options.progress(len(rows), len(units))
    write_skipped([row.reason() for row in rows if row.saliency is None], work.out)
    for key in asked_for:
        settle(work.out, key)
    return rows


def _top(work: Work, cases: dict[str, CaseRecord], top: int, options: SaliencyOptions) -> list[str]:
    """The most probable cases: of the run, or asked of the model now."""
    if work.run is not None:
        frame = work.run.worklist()
        frame = frame[frame["abstained"] == ""]  # of a case without an answer nothing may be shown
        columns = [f"p_{index}" for index in range(1, len(work.model.task.classes))]
        return [str(key) for key in frame.assign(p=frame[columns].max(axis=1)).nlargest(top, "p")["case_key"]]
    every = list(cases.values())
    prepared = prepare_cases(every, work.cohort.roots, work.model.recipe, workers=options.workers, cache=options.cache)
    said = [one for one in predict_cases(work.model, work.model_hash, prepared) if not one.abstained]
    return [one.case_key for one in sorted(said, key=lambda one: -max(one.probabilities[1:]))[:top]]


def _each(work: Work, units: Sequence[Unit], workers: int) -> Iterator[Row]:
    """Rows in the order of the units, from this process or from a pool of fresh ones."""
    if workers < 2 or len(units) < POOL_FROM:
        yield from (explained(work, unit) for unit in units)
        return
    # Not fork: the parent may hold threads of torch or OpenBLAS.
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_share, initargs=(work.places,)) as pool:
        rows, done = pool.map(_in_worker, units), 0
        try:
            for row in rows:
                yield row
                done += 1
        except BrokenProcessPool:
            yield from (Row(case.case_key, name, "failed", why=DIED) for case, name in units[done:])


def _share(places: Places) -> None:
    """What a worker opens once."""
    begin()
    torch.set_num_threads(1)
    _SHARED.append(opened(*places))


def _in_worker(unit: Unit) -> Row:
    return explained(_SHARED[0], unit)
