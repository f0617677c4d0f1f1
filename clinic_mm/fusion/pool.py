"""The availability-aware log-pool: expert opinions weighted by who else is present (METHODS §2.2).

In:  expert log-probabilities [n, M, C] and who is present [n, M]. Out: pooled logits [n, C] for any subset.

    logits_S = log prior + b_S + sum over m in S of w_{m,S} (log p_m - log prior)
    w_{m,S}  = exp(a_m + t_|S| + d_{m,S}) >= 0

`a` is how far an expert is trusted, `t` what redundancy costs at a size (shrunk toward 1/sqrt|S|), `d` and `b` what one
pattern has of its own (zero where it is rare). The empty subset gives the prior. Numpy only: a page can load it.
Source: log-linear pooling, Genest & Zidek, doi:10.1214/ss/1177013825.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array
from pydantic import JsonValue

Pattern = tuple[str, ...]
FLOOR: Final = 1e-6
"""No expert may be certain: probabilities are kept this far from 0 before the logarithm."""


@dataclass(frozen=True, slots=True)
class LogPool:
    """Fitted pool.

    Attributes:
        names: Modalities, in the order of the columns.
        prior: Class prior [C].
        trust: a_m [M].
        size: t_s for s = 1 … M (index s - 1).
        own: d_{m,S} [M] for patterns with values of their own.
        shift: b_S [C] for the same patterns.
    """

    names: tuple[str, ...]
    prior: Float[Array, " C"]
    trust: Float[Array, " M"]
    size: Float[Array, " M"]
    own: Mapping[Pattern, Float[Array, " M"]] = field(default_factory=dict)
    shift: Mapping[Pattern, Float[Array, " C"]] = field(default_factory=dict)

    def logits(self, opinions: Float[Array, "n M C"], present: Bool[Array, "n M"]) -> Float[Array, "n C"]:
        """Pooled logits; opinions of absent modalities are never looked at."""
        spoken = np.where(present[..., None], log_ratio(opinions, self.prior), 0.0)
        patterns, whose = np.unique(present, axis=0, return_inverse=True)
        weights, shift = self.of_patterns(patterns)
        whose = whose.ravel()
        pooled: Array = np.log(self.prior) + shift[whose] + np.einsum("nmc,nm->nc", spoken, weights[whose])
        return pooled

    def of_patterns(self, present: Bool[Array, "k M"]) -> tuple[Float[Array, "k M"], Float[Array, "k C"]]:
        """Weights and shifts of subsets; 0 for what is absent, and for all of the empty subset."""
        some = present.any(axis=1)
        log_weights = self.trust + self.size[np.maximum(present.sum(axis=1), 1) - 1][:, None]
        shift = np.zeros((len(present), len(self.prior)))
        if self.own or self.shift:
            for k in np.flatnonzero(some):
                pattern = self.pattern(present[k])
                log_weights[k] += self.own.get(pattern, 0.0)
                shift[k] = self.shift.get(pattern, 0.0)
        return np.where(present, np.exp(log_weights), 0.0), shift

    def weights(self, present: Bool[Array, " M"]) -> Float[Array, " m"]:
        """Weights of the present modalities in one subset."""
        weights: Array = self.of_patterns(present[None])[0][0, present]
        return weights

    def pattern(self, present: Bool[Array, " M"]) -> Pattern:
        """Sorted names of a subset."""
        return tuple(sorted(np.array(self.names)[present]))


def log_ratio(opinions: Float[Array, "... C"], prior: Float[Array, " C"]) -> Float[Array, "... C"]:
    """The ratio log p - log prior of expert probabilities, floored."""
    ratio: Array = np.log(np.clip(opinions, FLOOR, 1.0)) - np.log(prior)
    return ratio


def unfitted(names: tuple[str, ...], prior: Float[Array, " C"]) -> LogPool:
    """The pool that every fit is shrunk toward: full trust, 1/sqrt|S|, nothing of their own."""
    sizes = np.arange(1, len(names) + 1)
    return LogPool(names, prior, np.zeros(len(names)), -0.5 * np.log(sizes))


def pool_told(pool: LogPool) -> dict[str, JsonValue]:
    """The pool as JSON; numbers keep every bit."""
    return {
        "prior": pool.prior.tolist(),
        "trust": pool.trust.tolist(),
        "size": pool.size.tolist(),
        "own": {"+".join(p): w.tolist() for p, w in pool.own.items()},
        "shift": {"+".join(p): b.tolist() for p, b in pool.shift.items()},
    }


def pool_from(told: Mapping[str, Any], names: tuple[str, ...]) -> LogPool:
    """The pool that `pool_told` came from."""
    own, shift = ({pattern_of(p): np.array(v) for p, v in told[key].items()} for key in ("own", "shift"))
    prior, trust, size = (np.array(told[key]) for key in ("prior", "trust", "size"))
    return LogPool(names, prior, trust, size, own, shift)


def pattern_of(key: str) -> Pattern:
    """The pattern that is written with plus signs."""
    return tuple(key.split("+"))


def softmax(logits: Float[Array, "... C"]) -> Float[Array, "... C"]:
    """Probabilities along the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: Array = shifted / shifted.sum(axis=-1, keepdims=True)
    return probabilities


def subsets(present: Bool[Array, " M"], most: int = 64, seed: int = 0) -> Bool[Array, "k M"]:
    """Non-empty subsets of a presence row, the row itself first; beyond 8 modalities `most` sampled ones."""
    columns = np.flatnonzero(present)
    if len(columns) <= 8:
        masks = np.arange(2 ** len(columns) - 1, 0, -1)
        bits = (masks[:, None] >> np.arange(len(columns))) & 1
    else:
        drawn = np.random.default_rng(seed).integers(0, 2, (most, len(columns)))
        bits = np.unique(np.vstack([np.ones(len(columns), int), drawn[drawn.any(axis=1)]]), axis=0)[::-1]
    out = np.zeros((len(bits), len(present)), dtype=bool)
    out[:, columns] = bits.astype(bool)
    return out
