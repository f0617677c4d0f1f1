"""Find the nearest cases in a shared space, from any modalities to any others.

In:  a model whose way of joining has a shared space, a cohort, what to look from and what to look in; a case of the
cohort, or files. Out: the nearest cases by key.

Cases are named by their keys alone. The query's own patient never stands among the nearest: where the own case comes is
told beside them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm.cohort.manifest import Cohort, open_cohort
from clinic_mm.cohort.task_cases import task_cases
from clinic_mm.errors import InputError, UsageError
from clinic_mm.jobs.one import prepare_paths
from clinic_mm.jobs.space import ALONE, Names, Placed, Space, Use, open_space, place
from clinic_mm.predict.predictor import missing_of
from clinic_mm.predict.seen import count_seen
from clinic_mm.prep.batch import PreparedCases, prepare_cases
from clinic_mm.types import CaseRecord


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
    space = open_space(model_folder, (*looked_from, *looked_in))
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
    placed = place(space, cohort, cases, {looked_in}, use)
    return _nearest(space, cohort, placed, query, looked_in, k)


@dataclass(frozen=True, slots=True)
class _Query:
    """One case as it is asked about: what of it speaks, and where that stands in the space."""

    case: CaseRecord
    spoke: Names
    vector: Float[Array, " d"]


def _query(space: Space, given: PreparedCases, looked_from: Names) -> _Query:
    case, has = given.cases[0], space.names_in(given.present[0])
    lacking = set(looked_from) - set(has) or (set() if has else set(space.model.names))
    if lacking:
        whys = [f"{no.modality}: {no.why or no.status}" for no in missing_of(given, 0) if no.modality in lacking]
        mend = f"It has {', '.join(has)}" if has else "Take another case"
        place = f"{case.case_key} / {'; '.join(whys)}"
        raise InputError(f"The case has no usable {', '.join(sorted(lacking))}", place, mend)
    return _Query(case, looked_from or has, space.vectors(given, [looked_from])[looked_from][0])


def _nearest(space: Space, cohort: Cohort, placed: Placed, query: _Query, looked_in: Names, k: int) -> Nearest:
    has = placed.has[looked_in]
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


def _near(space: Space, placed: Placed, row: int, similarity: float) -> Near:
    case, task = placed.cases[row], space.model.task
    label = None if case.label is None else task.classes[case.label]
    has = space.names_in(placed.present[row])
    return Near(case.case_key, similarity, has, label, trained_on=bool(count_seen([case], space.model.facts)))
