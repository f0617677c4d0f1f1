"""Late fusion: the experts' probabilities, joined without looking at anything else. Numpy only.

In:  expert probabilities p_m and who is present (S). Out: logits of any subset; nobody gives the log prior.

    weighted   p = sum over m in S of w_m p_m / sum over m in S of w_m        (the prior where S has no weight)
    vote       p_c = (n_c + mean over m in S of p_mc) / (|S| + 1), n_c: for how many of S class c is the likeliest
    log_pool   see `fusion.pool`

Equal weights are the late average, one weight alone is a single modality, none at all the prior. In a vote the mean
opinion is one more vote, shared out: it never outweighs a whole one, breaks ties, and leaves no class without a
probability; what is still equal goes to the class that the task names first. Nothing here fits: see
`training.methods.late`.

Source: linear pool and log-pool, Genest & Zidek 1986, doi:10.1214/ss/1177013825; vote, Kittler et al. 1998,
doi:10.1109/34.667881.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, cast

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from pydantic import JsonValue

from clinic_mm.fusion.heard import Heard
from clinic_mm.fusion.joined import Cost, Joined, State
from clinic_mm.fusion.pool import FLOOR, LogPool, pool_from, pool_told


@dataclass(frozen=True, slots=True)
class Late(Joined):
    """Base of the ways of joining that look at opinions alone.

    Attributes:
        names: Modalities, in the order of the columns.
        prior: Class prior.
    """

    names: tuple[str, ...]
    prior: Float[Array, " C"]

    @abstractmethod
    def join(self, opinions: Float[Array, "r M C"], present: Bool[Array, "r M"]) -> Float[Array, "r C"]:
        """Logits of rows in each of which somebody speaks; opinions of the others are the prior."""

    def logits(self, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]) -> Float[Array, "r C"]:
        """See `Joined.logits`."""
        out = np.tile(np.log(self.prior), (len(case), 1))
        some = present.any(axis=1)
        there = present[some]
        out[some] = self.join(np.where(there[..., None], heard.opinions[case[some]], self.prior), there)
        return out

    def to_state(self) -> State:
        """Names and prior."""
        return {"names": list[JsonValue](self.names)}, {"prior": self.prior}


@dataclass(frozen=True, slots=True)
class Weighted(Late):
    """Weighted mean of the present, the weights renormalised over them.

    Attributes:
        weights: One per modality, none below 0.
    """

    weights: Float[Array, " M"]
    kind: ClassVar[str] = "weighted"

    def join(self, opinions: Float[Array, "r M C"], present: Bool[Array, "r M"]) -> Float[Array, "r C"]:
        """Log of the weighted mean."""
        logits: Array = np.log(np.clip(weighted_mean(opinions, present, self.prior, self.weights), FLOOR, 1.0))
        return logits

    def to_state(self) -> State:
        """Names, prior and weights."""
        told, arrays = Late.to_state(self)
        return told, {**arrays, "weights": self.weights}

    @classmethod
    def from_state(cls, told: Mapping[str, JsonValue], arrays: Mapping[str, Array]) -> Self:
        """The same again."""
        return cls(_names(told), arrays["prior"], arrays["weights"])

    def cost(self) -> Cost:
        """A weight per modality, none where all are equal."""
        fitted = len(self.names) if np.ptp(self.weights) > 0 else 0
        return Cost(fitted, len(self.names) * len(self.prior))


@dataclass(frozen=True, slots=True)
class Vote(Late):
    """The class that most of the present hold likeliest."""

    kind: ClassVar[str] = "vote"

    def join(self, opinions: Float[Array, "r M C"], present: Bool[Array, "r M"]) -> Float[Array, "r C"]:
        """Log of the shares of votes."""
        votes = np.eye(len(self.prior))[opinions.argmax(axis=2)] * present[..., None]
        mean = np.clip(weighted_mean(opinions, present, self.prior), FLOOR, 1 - FLOOR)
        logits: Array = np.log(votes.sum(axis=1) + mean) - np.log(present.sum(axis=1) + 1)[:, None]
        return logits

    @classmethod
    def from_state(cls, told: Mapping[str, JsonValue], arrays: Mapping[str, Array]) -> Self:
        """The same again."""
        return cls(_names(told), arrays["prior"])

    def cost(self) -> Cost:
        """Nothing is fitted."""
        return Cost(0, len(self.names) * len(self.prior))


@dataclass(frozen=True, slots=True)
class Pooled(Late):
    """A log-pool by itself: the default model's, without what may stand beside it there."""

    pool: LogPool
    kind: ClassVar[str] = "log_pool"

    def join(self, opinions: Float[Array, "r M C"], present: Bool[Array, "r M"]) -> Float[Array, "r C"]:
        """The pool's logits."""
        return self.pool.logits(opinions, present)

    def to_state(self) -> State:
        """Names, prior and pool."""
        told, arrays = Late.to_state(self)
        return {**told, "pool": pool_told(self.pool)}, arrays

    @classmethod
    def from_state(cls, told: Mapping[str, JsonValue], arrays: Mapping[str, Array]) -> Self:
        """The same again."""
        names = _names(told)
        return cls(names, arrays["prior"], pool_from(cast(dict[str, Any], told["pool"]), names))

    def cost(self) -> Cost:
        """Trust, sizes, and what patterns have of their own."""
        pool, n = self.pool, len(self.names)
        own = sum(a.size for a in (*pool.own.values(), *pool.shift.values()))
        return Cost(2 * n + own, n * len(self.prior))


def weighted_mean(
    opinions: Float[Array, "n M C"],
    present: Bool[Array, "n M"],
    prior: Float[Array, " C"],
    weights: Float[Array, " M"] | None = None,
) -> Float[Array, "n C"]:
    """Weighted mean probability of the present, of equal weights where none are given; the prior where they have none.

    What is absent must hold a finite number, and it does not matter which.
    """
    weight = present * (1.0 if weights is None else weights)
    total = weight.sum(axis=1)[:, None]
    joined = (opinions * weight[..., None]).sum(axis=1)
    return np.where(total > 0, joined / np.where(total > 0, total, 1.0), prior)


def _names(told: Mapping[str, JsonValue]) -> tuple[str, ...]:
    return tuple(cast(Sequence[str], told["names"]))
