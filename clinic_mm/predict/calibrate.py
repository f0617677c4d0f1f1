"""Temperatures per availability pattern: how much of its confidence an answer may keep.

In:  logits [n, C] and the subset that each was made from [n, M]. Out: calibrated probabilities.

    log T_S = t_0 + t_|S| + t_S     (t_S = 0 where the pattern is rare; all shrunk toward 0)

A temperature keeps the ranking within a pattern. The empty subset is the prior and is left alone.
Source: Guo et al., arXiv 1706.04599; per pattern because a pattern-blind fit fails on the rare ones (METHODS §1.4).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array

from clinic_mm.fusion.pool import Pattern, softmax


@dataclass(frozen=True, slots=True)
class Temperatures:
    """Fitted temperatures.

    Attributes:
        names: Modalities, in the order of the columns.
        base: t_0.
        size: t_s for s = 1 … M (index s - 1).
        own: t_S for patterns with a value of their own.
    """

    names: tuple[str, ...]
    base: float
    size: Float[Array, " M"]
    own: Mapping[Pattern, float] = field(default_factory=dict)

    def log_temperature(self, present: Bool[Array, "n M"]) -> Float[Array, " n"]:
        """Log T of each row; 0 for the empty subset."""
        count = present.sum(axis=1)
        out = np.where(count > 0, self.base + self.size[np.maximum(count, 1) - 1], 0.0)
        for pattern, value in self.own.items():
            out += value * (present == np.isin(self.names, pattern)).all(axis=1)
        return out

    def probabilities(self, logits: Float[Array, "n C"], present: Bool[Array, "n M"]) -> Float[Array, "n C"]:
        """Calibrated probabilities."""
        return softmax(logits / np.exp(self.log_temperature(present))[:, None])
