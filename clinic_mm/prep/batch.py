"""Prepare many cases: choose the evidence, decode, prepare, and keep apart what is absent, rejected and failed.

In:  cases, the named roots their paths are relative to, one prep per modality of the task.
Out: PreparedCases: stacked tensors, plain summaries, presence, and for each case why a modality is not there.

One bad piece of evidence never stops the rest: the next older (or newer) one is tried, then the modality is rejected.
"""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache as once
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array
from threadpoolctl import ThreadpoolController

from clinic_mm.cohort.load import load_evidence
from clinic_mm.errors import ClinicError, EvidenceError
from clinic_mm.prep.base import NothingKnownError, Prep, Prepared, plan_prep
from clinic_mm.prep.cache import PrepCache
from clinic_mm.signals import Signal
from clinic_mm.sources.choose import in_order, why_taken
from clinic_mm.task import Task
from clinic_mm.types import Absent, CaseRecord, Evidence, Failed, Flag, Rejected, serves
from clinic_mm.worker_process import begin

Progress = Callable[[int, int], None]
POOL_FROM: Final = 48
"""Cases from which on starting worker processes pays."""
CHUNK: Final = 8


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the cases of a task are prepared: modality name to its prep, and which study is taken."""

    preps: Mapping[str, Prep[Signal]]
    select: str = "latest"

    @property
    def names(self) -> tuple[str, ...]:
        """Modality names in the task's order."""
        return tuple(self.preps)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one modality of one case. `region`: the body part that its header names, "" where none."""

    prepared: Prepared | None
    time_h: float
    no: Absent | Rejected | Failed | None
    flags: tuple[Flag, ...] = ()
    region: str = ""


@dataclass(frozen=True, slots=True)
class PreparedCases:
    """Cases ready for heads and networks.

    Attributes:
        names: Modalities, in the order of the columns of `present`.
        x: Stacked tensors of the present rows of each modality.
        row: For each modality, each case's row in `x`, -1 where absent.
        plain: Plain summaries [case, p], NaN rows where absent.
        present: Which modality speaks in which case.
        time_h: Hours from the acquisition to the decision, NaN where unknown.
        outcomes: For each case and modality what became of it, without the arrays.
    """

    cases: tuple[CaseRecord, ...]
    names: tuple[str, ...]
    x: dict[str, Array]
    row: dict[str, Array]
    plain: dict[str, Float[Array, "case p"]]
    present: Bool[Array, "case modality"]
    time_h: Float[Array, "case modality"]
    outcomes: tuple[dict[str, Outcome], ...]

    def __len__(self) -> int:
        return len(self.cases)

    @property
    def patients(self) -> Array:
        """Patient key of each case."""
        return np.array([case.patient_key for case in self.cases])

    @property
    def labels(self) -> Array:
        """Class of each case, -1 where unknown."""
        return np.array([-1 if case.label is None else case.label for case in self.cases])

    def patterns(self) -> list[tuple[str, ...]]:
        """Availability pattern of each case: sorted names."""
        return [tuple(sorted(np.array(self.names)[row])) for row in self.present]


def prepare_cases(
    cases: Sequence[CaseRecord],
    roots: Mapping[str, Path],
    recipe: Recipe,
    *,
    workers: int = 1,
    cache: PrepCache | None = None,
    progress: Progress | None = None,
) -> PreparedCases:
    """Prepare cases in their order; the same result for any number of workers."""
    one = partial(prepare_case, roots=roots, recipe=recipe, cache=cache)
    # Starting processes takes longer than serving thousands of cases from the cache: what stands there comes first.
    served = [known_case(case, roots, recipe, cache) if cache else None for case in cases]
    made = _each(one, [case for case, known in zip(cases, served, strict=True) if known is None], workers)
    outcomes = []
    for known in served:
        outcomes.append(next(made) if known is None else known)
        if progress:
            progress(len(outcomes), len(cases))
    return stack(cases, outcomes, recipe)


def prepare_case(
    case: CaseRecord, *, roots: Mapping[str, Path], recipe: Recipe, cache: PrepCache | None = None
) -> dict[str, Outcome]:
    """What becomes of each modality of one case."""
    with _blas().limit(limits=1, user_api="blas"):
        return _each_modality(case, roots, recipe, cache)


@once
def _blas() -> ThreadpoolController:
    """The libraries behind numpy; looked for once, which takes longer than to prepare a record.

    Images are smoothed by many small products of matrices: threads of BLAS wait for one another, and a CT takes four to
    ten times as long.
    """
    return ThreadpoolController()


def _each_modality(
    case: CaseRecord, roots: Mapping[str, Path], recipe: Recipe, cache: PrepCache | None
) -> dict[str, Outcome]:
    one = partial(_prepared, roots=roots, cache=cache)
    return {name: _one(case, name, prep, recipe.select, one) for name, prep in recipe.preps.items()}


def known_case(
    case: CaseRecord, roots: Mapping[str, Path], recipe: Recipe, cache: PrepCache
) -> dict[str, Outcome] | None:
    """The same from the cache alone; None where any of it is to be prepared."""
    one = partial(_served, roots=roots, cache=cache)
    try:
        return {name: _one(case, name, prep, recipe.select, one) for name, prep in recipe.preps.items()}
    except _NotKeptError:
        return None


def plan_recipe(task: Task) -> Recipe:
    """How the cases of a task are prepared, before anything is learnt."""
    preps = {name: plan_prep(task.kind_of(name), task.size, task.options(name)) for name in task.modalities}
    return Recipe(preps, task.select)


def fit_preps(cases: Sequence[CaseRecord], roots: Mapping[str, Path], recipe: Recipe) -> Recipe:
    """Let each prep that learns from the cohort learn from these (training) cases."""
    fitted = {
        name: prep.fit(_signals(cases, prep.kind, name, roots, recipe.select)) if prep.learns else prep
        for name, prep in recipe.preps.items()
    }
    return Recipe(fitted, recipe.select)


def _each(
    one: Callable[[CaseRecord], dict[str, Outcome]], cases: Sequence[CaseRecord], workers: int
) -> Iterator[dict[str, Outcome]]:
    if workers < 2 or len(cases) < POOL_FROM:
        yield from map(one, cases)
        return
    # Not fork: the parent may hold threads of torch or OpenBLAS.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=begin) as pool:
        yield from pool.map(one, cases, chunksize=CHUNK)


def _signals(
    cases: Sequence[CaseRecord], kind: str, name: str, roots: Mapping[str, Path], select: str
) -> Iterator[tuple[Signal, datetime | None]]:
    for case in cases:
        for evidence in in_order(case.usable(kind, name), select)[:1]:
            try:
                yield load_evidence(evidence, roots, kind), evidence.until
            except EvidenceError:
                continue


class _NotKeptError(ClinicError):
    """The cache does not have it; caught where it is asked, never told to a person."""


def _one(
    case: CaseRecord,
    name: str,
    prep: Prep[Signal],
    select: str,
    prepared_of: Callable[[Evidence, Prep[Signal]], Prepared],
) -> Outcome:
    no, usable = _standing_no(case, prep.kind, name), case.usable(prep.kind, name)
    noes: list[Rejected | Failed] = []
    for evidence in in_order(usable, select):
        try:
            prepared = prepared_of(evidence, prep)
        except _NotKeptError:
            raise
        except NothingKnownError:
            continue  # absent, unless another piece, or the cohort, gives a reason
        except EvidenceError as error:
            noes.append(Rejected(modality=prep.kind, code=error.code, why=error.what, mend=error.mend))
        except Exception as error:  # noqa: BLE001 - the one border: our own fault must not stop the other cases
            noes.append(Failed(modality=prep.kind, why=f"{type(error).__name__} in {prep.kind}"))
        else:
            flags = (*evidence.flags, *prepared.flags, *why_taken(evidence, usable), *_passed_over(noes))
            region = str(evidence.meta.get("body_part") or "")
            return Outcome(prepared, _hours_before(case, evidence), None, tuple(dict.fromkeys(flags)), region)
    return Outcome(None, np.nan, noes[-1] if noes else no)


def _passed_over(noes: Sequence[Rejected | Failed]) -> tuple[Flag, ...]:
    """That an answer rests on another piece than the task asked for, since that one could not be used."""
    if not noes:
        return ()
    whys = "; ".join(dict.fromkeys(f"{no.why} ({getattr(no, 'code', no.status)})" for no in noes))
    return (Flag(code="case.passed_over", why=f"{len(noes)} that came first could not be used: {whys}"),)


def _prepared(evidence: Evidence, prep: Prep[Signal], roots: Mapping[str, Path], cache: PrepCache | None) -> Prepared:
    def make() -> Prepared:
        return prep(load_evidence(evidence, roots, prep.kind), evidence.until)

    return cache.prepared(evidence, prep, roots, make) if cache else make()


def _served(evidence: Evidence, prep: Prep[Signal], roots: Mapping[str, Path], cache: PrepCache) -> Prepared:
    if hit := cache.known(evidence, prep, roots):
        return hit
    raise _NotKeptError("The cache does not have it")


def _standing_no(case: CaseRecord, kind: str, name: str) -> Absent | Rejected | Failed:
    """What the cohort already says of a modality that has nothing usable: the last rejection, else absent."""
    found = case.evidence.get(kind, ())
    noes = [f for f in found if isinstance(f, Failed) or (isinstance(f, Rejected) and serves(f, name))]
    return noes[-1] if noes else Absent(modality=kind)


def _hours_before(case: CaseRecord, evidence: Evidence) -> float:
    if case.decision_time is None or evidence.acquired_at is None:
        return np.nan
    return (case.decision_time - evidence.acquired_at).total_seconds() / 3600


def stack(cases: Sequence[CaseRecord], outcomes: Sequence[dict[str, Outcome]], recipe: Recipe) -> PreparedCases:
    """Stack outcomes into tensors; rows of absent modalities take no memory."""
    x, row, plain = {}, {}, {}
    present = np.zeros((len(cases), len(recipe.names)), dtype=bool)
    time_h = np.full(present.shape, np.nan)
    for column, (name, prep) in enumerate(recipe.preps.items()):
        found = [outcome[name].prepared for outcome in outcomes]
        present[:, column] = [p is not None for p in found]
        time_h[:, column] = [outcome[name].time_h for outcome in outcomes]
        kept = [p for p in found if p is not None]
        x[name] = np.stack([p.x for p in kept]) if kept else np.zeros((0, *prep.shape), prep.dtype)
        row[name] = np.where(present[:, column], np.cumsum(present[:, column]) - 1, -1)
        plain[name] = np.full((len(cases), len(prep.plain_names)), np.nan, dtype=np.float32)
        if kept:
            plain[name][present[:, column]] = np.stack([p.plain for p in kept])
    light = tuple({n: replace(o, prepared=None) for n, o in case.items()} for case in outcomes)
    return PreparedCases(tuple(cases), recipe.names, x, row, plain, present, time_h, light)
