"""Find the nearest cases in a shared space, from any modalities to any others, and say how well that finds.

In:  a model whose way of joining has a shared space, a cohort, what to look from and what to look in; a case of the
cohort, or files. Out: the nearest cases by key, or a frame of figures beside chance.

Cases are named by their keys alone. The query's own patient never stands among the nearest: where the own case comes is
told beside them. Figures are of patients that the model was not trained on.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import permutations
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array

from clinic_mm.cohort.manifest import Cohort, open_cohort
from clinic_mm.cohort.task_cases import task_cases
from clinic_mm.colearning.embedding import Embedding
from clinic_mm.errors import InputError, UsageError
from clinic_mm.evaluate.retrieval import Found, ranked, scores
from clinic_mm.jobs.one import prepare_paths
from clinic_mm.predict.artifact import load_model
from clinic_mm.predict.model import Model, listen
from clinic_mm.predict.seen import count_seen, unseen
from clinic_mm.prep.batch import PreparedCases, Progress, prepare_cases
from clinic_mm.prep.cache import PrepCache
from clinic_mm.types import CaseRecord

Names = tuple[str, ...]
"""Modalities that are looked from, or in; none means whatever a case has."""
CASES_AT_ONCE: Final = 512
"""Prepared together: bounds the memory that images take."""
SAME_PATIENT: Final = "same patient"


@dataclass(frozen=True, slots=True)
class Use:
    """What a search may use, and whom it tells how far it is."""

    workers: int = 1
    cache: PrepCache | None = None
    progress: Progress | None = None


ALONE: Final = Use()


@dataclass(frozen=True, slots=True)
class Near:
    """One case near the query.

    Attributes:
        case_key: Its name in the cohort.
        similarity: Cosine, from -1 to 1.
        has: Modalities that it has.
        label: Its class in the cohort, None where unknown.
        trained_on: Whether the model was trained on its patient, which makes it look nearer than it is.
    """

    case_key: str
    similarity: float
    has: Names
    label: str | None
    trained_on: bool


@dataclass(frozen=True, slots=True)
class Nearest:
    """The cases nearest to a query.

    Attributes:
        query: Key of the case that was asked about.
        looked_from: Modalities of the query that spoke.
        looked_in: Modalities of the gallery that spoke; none means whatever each case has.
        n_gallery: Cases that were looked through.
        near: The nearest, nearest first.
        own_rank: Where the query's own case would come among them, if it has what was looked in and nothing of it spoke
            in the query; else None.
        simulated: Whether the cohort is simulated.
    """

    query: str
    looked_from: Names
    looked_in: Names
    n_gallery: int
    near: tuple[Near, ...]
    own_rank: int | None
    simulated: bool

    def as_json(self) -> dict[str, object]:
        """The same as JSON has it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Space:
    """A model, and its way of joining as the space that it is."""

    model: Model
    embedding: Embedding

    @property
    def names(self) -> Names:
        return self.model.names


@dataclass(frozen=True, slots=True)
class _Placed:
    """Cases in the space.

    Attributes:
        cases: The cases.
        present: What each has.
        at: For each wanted set of modalities the vector of each case, zeros where it lacks one of them.
    """

    cases: tuple[CaseRecord, ...]
    present: Bool[Array, "n M"]
    at: Mapping[Names, Float[Array, "n d"]]

    @property
    def patients(self) -> Array:
        return np.array([case.patient_key for case in self.cases])

    @property
    def labels(self) -> Int[Array, " n"]:
        return np.array([-1 if case.label is None else case.label for case in self.cases])


def names_of(text: str) -> Names:
    """Modalities as a person names them: `xray`, `xray+record`."""
    return tuple(dict.fromkeys(name.strip() for name in text.split("+") if name.strip()))


def nearest(
    model_folder: Path,
    cohort_folder: Path,
    *,
    case_key: str = "",
    paths: Mapping[str, Sequence[Path]] | None = None,
    looked_from: Names = (),
    looked_in: Names = (),
    k: int = 5,
    use: Use = ALONE,
) -> Nearest:
    """The cases of a cohort that are nearest to one case.

    Args:
        model_folder: The artifact.
        cohort_folder: Where to look.
        case_key: A case of the cohort, or
        paths: files for each modality, as `clinic-mm predict` takes them.
        looked_from: Modalities of the query that speak; all that it has where none is named.
        looked_in: Modalities that a case must have, and that speak for it; all that each has where none is named.
        k: How many.
        use: Workers, cache, progress.

    Raises:
        UsageError: For a model without a shared space, an unknown modality, or neither or both of case and files.
        InputError: If the cohort has no such case, the query lacks a modality, or nobody has what is looked in.
        ArtifactError: If the model cannot be read.
    """
    if bool(case_key) == bool(paths):
        mend = "Give --case KEY, or files such as --xray PATH, or --evaluate"
        raise UsageError("Say whose nearest cases: of one case", "retrieve", mend)
    space = _open_space(model_folder, (*looked_from, *looked_in))
    cohort = open_cohort(cohort_folder)
    cases = task_cases(cohort, space.model.task)
    if case_key and case_key not in {case.case_key for case in cases}:
        raise InputError("The cohort has no case of this key", case_key, "Keys stand in the work list of a run")
    if case_key:
        (asked,) = (case for case in cases if case.case_key == case_key)
        given = prepare_cases([asked], cohort.roots, space.model.recipe, cache=use.cache)
    else:
        given = prepare_paths(space.model, paths or {})
    query = _query(space, given, looked_from)
    placed = _place(space, cohort, cases, {looked_in}, use)
    return _nearest(space, cohort, placed, query, looked_in, k)


@dataclass(frozen=True, slots=True)
class _Query:
    """One case as it is asked about: what of it speaks, and where that stands in the space."""

    case: CaseRecord
    spoke: Names
    vector: Float[Array, " d"]


def _query(space: _Space, given: PreparedCases, looked_from: Names) -> _Query:
    case, has = given.cases[0], _names_of(space, given.present[0])
    if lacking := sorted(set(looked_from) - set(has)) or ([] if has else ["evidence"]):
        mend = f"It has {', '.join(has)}" if has else "Take another case"
        raise InputError(f"The case has no usable {', '.join(lacking)}", case.case_key, mend)
    return _Query(case, looked_from or has, _vectors(space, given, {looked_from})[looked_from][0])


def _nearest(space: _Space, cohort: Cohort, placed: _Placed, query: _Query, looked_in: Names, k: int) -> Nearest:
    has = _having(space, placed, looked_in)
    rows = np.flatnonzero(has & (placed.patients != query.case.patient_key))
    if not len(rows):
        raise InputError(f"No other case of the cohort has {'+'.join(looked_in) or 'evidence'}", "--to", "Name another")
    similarity = placed.at[looked_in][rows] @ query.vector
    best = np.argsort(-similarity, kind="stable")[:k]
    own = [row for row in np.flatnonzero(has) if placed.cases[row].case_key == query.case.case_key]
    others = looked_in and not set(query.spoke) & set(looked_in)  # else it would find itself
    own_rank = [int((similarity > placed.at[looked_in][row] @ query.vector).sum()) + 1 for row in own if others]
    return Nearest(
        query=query.case.case_key,
        looked_from=query.spoke,
        looked_in=looked_in,
        n_gallery=len(rows),
        near=tuple(_near(space, placed, int(rows[at]), float(similarity[at])) for at in best),
        own_rank=own_rank[0] if own_rank else None,
        simulated=cohort.info.simulated,
    )


def _near(space: _Space, placed: _Placed, row: int, similarity: float) -> Near:
    case, task = placed.cases[row], space.model.task
    label = None if case.label is None else task.classes[case.label]
    has = _names_of(space, placed.present[row])
    return Near(case.case_key, similarity, has, label, trained_on=bool(count_seen([case], space.model.facts)))


def retrieval_figures(
    model_folder: Path,
    cohort_folder: Path,
    *,
    case_key: str = "",
    paths: Mapping[str, Sequence[Path]] | None = None,
    looked_from: Names = (),
    looked_in: Names = (),
    use: Use = ALONE,
) -> pd.DataFrame:
    """How well cases of unseen patients find each other, beside the chance of a random order.

    Args:
        model_folder: The artifact.
        cohort_folder: Patients that the model was trained on are left out.
        case_key: Refused: figures are of all cases.
        paths: Refused likewise.
        looked_from: Modalities that speak for the query.
        looked_in: Modalities that speak for the gallery. Each single modality to each other where neither is named.
        use: Workers, cache, progress.

    Returns:
        Columns from, to, n_gallery, right (the same patient, or for queries of one class: the same class), n_queries,
        figure, value, low, high (95 % by patient), chance. Where a class is asked, the own patient is not ranked.

    Raises:
        UsageError: For a model without a shared space, an unknown modality, one of the two named alone, or one case.
        LeakError: If the model was trained on every patient.
        InputError: If no two cases have what is asked.
    """
    if case_key or paths:
        raise UsageError("Figures are of all cases, not of one", "--evaluate", "Leave --evaluate, or the case, out")
    if bool(looked_from) != bool(looked_in):
        raise UsageError("One side is named alone", "retrieve", "Give both --from and --to, or neither for all pairs")
    space = _open_space(model_folder, (*looked_from, *looked_in))
    cohort = open_cohort(cohort_folder)
    cases = unseen(task_cases(cohort, space.model.task), space.model.facts)
    pairs = [(looked_from, looked_in)] if looked_from else [((a,), (b,)) for a, b in permutations(space.names, 2)]
    placed = _place(space, cohort, cases, {side for pair in pairs for side in pair}, use)
    rows = [row for pair in pairs for row in _figures(space, placed, *pair)]
    if not rows:
        raise InputError("No two unseen cases have what is asked", "retrieve", "See clinic-mm describe: who has what")
    return pd.DataFrame(rows)


def _figures(space: _Space, placed: _Placed, looked_from: Names, looked_in: Names) -> Iterator[dict[str, object]]:
    asked, there = (np.flatnonzero(_having(space, placed, side)) for side in (looked_from, looked_in))
    queries, gallery = placed.at[looked_from][asked], placed.at[looked_in][there]
    patients, labels = placed.patients, placed.labels
    own = patients[asked][:, None] == patients[there]
    told = {"from": "+".join(looked_from), "to": "+".join(looked_in), "n_gallery": len(there)}
    if not set(looked_from) & set(looked_in):  # else the query would find itself
        found = ranked(queries, gallery, own)
        yield from _told({**told, "right": SAME_PATIENT}, len(found.query), scores(found, patients[asked]))
    for number, name in enumerate(space.model.task.classes):
        mine = labels[asked] == number
        known = np.broadcast_to(labels[there] >= 0, (mine.sum(), len(there)))
        right = np.broadcast_to(labels[there] == number, known.shape)
        found = ranked(queries[mine], gallery, right, known & ~own[mine])
        yield from _told({**told, "right": name}, len(found.query), scores(found, patients[asked][mine]))


def _told(told: dict[str, object], n_queries: int, figures: Sequence[Found]) -> Iterator[dict[str, object]]:
    for one in figures:
        figure = {"figure": one.name, "value": one.value, "low": one.low, "high": one.high, "chance": one.chance}
        yield {**told, "n_queries": n_queries, **figure}


def _open_space(folder: Path, named: Sequence[str]) -> _Space:
    model, _ = load_model(folder)
    joined: object = model.joined
    if not isinstance(joined, Embedding):
        mend = 'Train with [fusion] method = "contrast", "cca" or "deep_cca" in the task file'
        raise UsageError("The model has no space that its modalities share", str(folder), mend)
    if unknown := sorted(set(named) - set(model.names)):
        what = f"The model does not know {', '.join(unknown)}"
        raise UsageError(what, "retrieve", f"It was trained on {', '.join(model.names)}")
    return _Space(model, joined)


def _place(space: _Space, cohort: Cohort, cases: Sequence[CaseRecord], wanted: set[Names], use: Use) -> _Placed:
    """Prepare the cases a part at a time, and keep of each part its vectors alone."""
    parts: list[dict[Names, Array]] = []
    present = []
    for start in range(0, len(cases), CASES_AT_ONCE):
        some = cases[start : start + CASES_AT_ONCE]
        prepared = prepare_cases(some, cohort.roots, space.model.recipe, workers=use.workers, cache=use.cache)
        present.append(prepared.present)
        parts.append(_vectors(space, prepared, wanted))
        if use.progress:
            use.progress(start + len(some), len(cases))
    if not parts:
        raise InputError("The cohort has no case", str(cohort.path), "See clinic-mm describe")
    at = {side: np.concatenate([part[side] for part in parts]) for side in wanted}
    return _Placed(tuple(cases), np.concatenate(present), at)


def _vectors(space: _Space, prepared: PreparedCases, wanted: set[Names]) -> dict[Names, Array]:
    heard, case = listen(space.model, prepared), np.arange(len(prepared))
    found = {}
    for side in wanted:
        speaks = prepared.present if not side else np.tile(_mask(space, side), (len(case), 1))
        speaks = speaks & (prepared.present | ~speaks).all(axis=1)[:, None]  # nobody speaks where one of them lacks
        found[side] = space.embedding.embed(heard, case, speaks)
    return found


def _having(space: _Space, placed: _Placed, side: Names) -> Bool[Array, " n"]:
    mask = _mask(space, side)
    has: Array = (placed.present | ~mask).all(axis=1) & placed.present.any(axis=1)
    return has


def _mask(space: _Space, side: Names) -> Bool[Array, " M"]:
    return np.array([name in side for name in space.names])


def _names_of(space: _Space, present: Bool[Array, " M"]) -> Names:
    return tuple(name for name, here in zip(space.names, present, strict=True) if here)
