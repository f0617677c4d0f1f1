"""What every prep is: a frozen recipe that turns one signal into the encoder's tensor and into plain summaries.

In:  a decoded signal (clinic_mm.signals), and the time the answer is due.
Out: Prepared: `x` for the network, `plain` for the plain heads, and the flags seen on the way.

A prep that learns something (which codes a cohort has) learns it from training cases only, in `fit`, and carries it
in its recipe. Nothing here reads a file or knows about patients.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import orjson
import torch
from jaxtyping import Float, Float32
from numpy import ndarray as Array
from torch import Tensor

from clinic_mm.errors import EvidenceError
from clinic_mm.modalities import modality, resolve
from clinic_mm.signals import Signal
from clinic_mm.task import ModalityTask
from clinic_mm.types import Flag

S = TypeVar("S", bound=Signal)
Recipe = dict[str, Any]
"""Plain JSON."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """One piece of evidence, ready for encoders and heads.

    Attributes:
        x: What the encoder of this kind takes, one case, no batch axis.
        plain: Plain summaries; NaN where a summary cannot be had from this signal.
        flags: What was seen while preparing.
    """

    x: Float[Array, "..."]
    plain: Float32[Array, " p"]
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, slots=True)
class Mistake:
    """A way in which a signal comes in wrongly and looks fine: an inverted picture, sides swapped.

    Attributes:
        code: Of the flag or rejection.
        words: What it then looks like.
        make: Prepared tensors [n, ...] as they would be, had it happened.
        only_flag: Whether it is told, and the signal used all the same.
    """

    code: str
    words: str
    make: Callable[[Array], Array]
    only_flag: bool = False


class Prep(ABC, Generic[S]):
    """One kind of evidence, one recipe. The recipe is JSON, so that an artifact can carry it."""

    kind: ClassVar[str]
    version: ClassVar[int] = 1
    learns: ClassVar[bool] = False
    dtype: ClassVar[type[np.floating[Any]]] = np.float32
    """Type of `x`: half precision where the input carries no more than that (pixels, microvolts)."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    @classmethod
    @abstractmethod
    def plan(cls, size: str, options: ModalityTask) -> Self:
        """The recipe for a model size, before anything is learnt from a cohort."""

    def fit(self, signals: Iterable[tuple[S, datetime | None]]) -> Self:
        """Learn from training signals; most preps have nothing to learn."""
        del signals
        return self

    @abstractmethod
    def __call__(self, signal: S, until: datetime | None = None) -> Prepared:
        """Prepare one signal as known at `until`.

        Raises:
            EvidenceError: If the signal cannot serve this recipe.
        """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of `x` without the batch axis."""

    @property
    @abstractmethod
    def plain_names(self) -> tuple[str, ...]:
        """A name for each plain summary, in order."""

    def looks(self, x: Float[Array, "n ..."]) -> Float[Array, "n q"]:
        """What a detector of foreign inputs looks at beside the plain summaries; most kinds add nothing."""
        return np.zeros((len(x), 0))

    @property
    def looks_names(self) -> tuple[str, ...]:
        """A name for each column of `looks`."""
        return ()

    def looking_as_in(self, signal: S) -> Self:
        """The same prep, whose summaries look at the places where they look in this signal: for hiding parts of it."""
        del signal
        return self

    def texture(self, x: Float[Array, "n ..."]) -> Float[Array, "n q"]:
        """How rough it is, place by place, for such a detector; most kinds add nothing."""
        return np.zeros((len(x), 0))

    @property
    def texture_names(self) -> tuple[str, ...]:
        """A name for each column of `texture`."""
        return ()

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        """Ways of going wrong that can be learnt from wrong copies, told apart by `looks`."""
        return ()

    @property
    def key(self) -> str:
        """Identity of what this prep does: kind, version and recipe. Two equal keys give equal outputs."""
        text = orjson.dumps([self.kind, self.version, self.recipe], option=orjson.OPT_SORT_KEYS)
        return text.decode()

    @property
    def rests_on(self) -> tuple[Path, ...]:
        """Files beside the recipe that the outcome hangs on, in a fixed order; most preps have none."""
        return ()


def make_prep(kind: str, recipe: Recipe) -> Prep[Signal]:
    """The prep of a kind with a recipe as an artifact carries it."""
    made: Prep[Signal] = resolve(modality(kind).prep)(recipe)
    return made


def plan_prep(kind: str, size: str, options: ModalityTask) -> Prep[Signal]:
    """The prep of a kind for a model size."""
    planned: Prep[Signal] = resolve(modality(kind).prep).plan(size, options)
    return planned


class NothingKnownError(EvidenceError):
    """The evidence is fine, but holds nothing that this recipe asks for: absent, not rejected."""


def widened(x: Array) -> Tensor:
    """Prepared numbers in single precision: torch widens halves many times faster than NumPy."""
    return torch.from_numpy(np.ascontiguousarray(x)).float()


def quantiles(values: Array, at: tuple[float, ...]) -> Array:
    """Quantiles of the finite values, NaN where there are none: `numpy.quantile`, to the bit.

    In a fifth of its time where only the highest are asked for: nothing below the lowest of them is put in order, and
    sorting is vectorised, which the selection of several places is not.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.full(len(at), np.nan, np.float32)
    place = np.array(at) * (finite.size - 1)
    below = np.floor(place).astype(int)
    first = int(below.min())
    ordered = np.sort(np.partition(finite, first)[first:])
    low, high = ordered[below - first], ordered[np.minimum(below + 1, finite.size - 1) - first]
    step, part = high - low, place - below
    at_place: Array = np.where(part < 0.5, low + step * part, high - step * (1 - part))  # as NumPy rounds
    return at_place.astype(np.float32)
