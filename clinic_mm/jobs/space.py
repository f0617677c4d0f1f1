"""A model as a space that its modalities share, and the cases of a cohort in it.

In:  a model folder, cases, which sets of modalities are to speak. Out: vectors of the cases, one table per set.

Cases are prepared a part at a time, and of each part nothing but the vectors is kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array

from clinic_mm.cohort.manifest import Cohort
from clinic_mm.colearning.embedding import Embedding
from clinic_mm.errors import InputError, UsageError
from clinic_mm.predict.deploy import load_deployed
from clinic_mm.predict.model import Model, listen
from clinic_mm.prep.batch import PreparedCases, Progress, prepare_cases
from clinic_mm.prep.cache import PrepCache
from clinic_mm.types import CaseRecord

Names = tuple[str, ...]
"""Modalities that are looked from, or in; none means whatever a case has."""
CASES_AT_ONCE: Final = 512
"""Prepared together: bounds the memory that images take."""


@dataclass(frozen=True, slots=True)
class Use:
    """What a search may use, and whom it tells how far it is."""

    workers: int = 1
    cache: PrepCache | None = None
    progress: Progress | None = None


ALONE: Final = Use()


@dataclass(frozen=True, slots=True)
class Space:
    """A model, and its way of joining as the space that it is."""

    model: Model
    embedding: Embedding

    def speaking(self, present: Bool[Array, "n M"], side: Names) -> Bool[Array, "n M"]:
        """Who speaks for each case: the named modalities, or nobody where it lacks one of them; all where none is."""
        if not side:
            return present
        wanted = np.array([name in side for name in self.model.names])
        speaks: Array = wanted & (present | ~wanted).all(axis=1)[:, None]
        return speaks

    def vectors(self, prepared: PreparedCases, wanted: Iterable[Names]) -> dict[Names, Float[Array, "n d"]]:
        """Each case by each wanted set of modalities; zeros where it lacks one of them."""
        heard, case = listen(self.model, prepared), np.arange(len(prepared))
        return {side: self.embedding.embed(heard, case, self.speaking(prepared.present, side)) for side in wanted}

    def names_in(self, present: Bool[Array, " M"]) -> Names:
        """Names of the modalities that a case has."""
        return tuple(name for name, here in zip(self.model.names, present, strict=True) if here)


@dataclass(frozen=True, slots=True)
class Placed:
    """Cases in the space.

    Attributes:
        cases: The cases.
        present: What each has.
        at: For each wanted set of modalities the vector of each case, zeros where it lacks one of them.
        has: For each of these sets, which cases have all of it.
        patients: Patient of each case.
        labels: Class of each case, -1 where unknown.
    """

    cases: tuple[CaseRecord, ...]
    present: Bool[Array, "n M"]
    at: Mapping[Names, Float[Array, "n d"]]
    has: Mapping[Names, Bool[Array, " n"]]
    patients: Array
    labels: Int[Array, " n"]


def names_of(text: str) -> Names:
    """Modalities as a person names them: `xray`, `xray+record`."""
    return tuple(dict.fromkeys(name.strip() for name in text.split("+") if name.strip()))


def open_space(folder: Path, named: Sequence[str]) -> Space:
    """Read a model as a space.

    Args:
        folder: The artifact.
        named: Modalities that a person named; each must be one of the model's.

    Raises:
        UsageError: If its modalities share no space, or it does not know one that is named.
        ArtifactError: If the model cannot be read.
    """
    model, _ = load_deployed(folder)
    joined: object = model.joined
    if not isinstance(joined, Embedding):
        mend = 'Train with [fusion] method = "contrast", "cca" or "deep_cca" in the task file'
        raise UsageError("The model has no space that its modalities share", str(folder), mend)
    if unknown := sorted(set(named) - set(model.names)):
        what = f"The model does not know {', '.join(unknown)}"
        raise UsageError(what, "retrieve", f"It was trained on {', '.join(model.names)}")
    return Space(model, joined)


def place(space: Space, cohort: Cohort, cases: Sequence[CaseRecord], wanted: set[Names], use: Use = ALONE) -> Placed:
    """Prepare cases and put them in the space.

    Raises:
        InputError: If there is no case.
    """
    if not cases:
        raise InputError("The cohort has no case", str(cohort.path), "See clinic-mm describe")
    parts: list[dict[Names, Array]] = []
    present = []
    for start in range(0, len(cases), CASES_AT_ONCE):
        some = cases[start : start + CASES_AT_ONCE]
        prepared = prepare_cases(some, cohort.roots, space.model.recipe, workers=use.workers, cache=use.cache)
        present.append(prepared.present)
        parts.append(space.vectors(prepared, wanted))
        if use.progress:
            use.progress(start + len(some), len(cases))
    every = np.concatenate(present)
    return Placed(
        cases=tuple(cases),
        present=every,
        at={side: np.concatenate([part[side] for part in parts]) for side in wanted},
        has={side: np.any(space.speaking(every, side), axis=1) for side in wanted},
        patients=np.array([case.patient_key for case in cases]),
        labels=np.array([-1 if case.label is None else case.label for case in cases]),
    )
