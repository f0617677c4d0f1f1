"""One head over everything side by side: it sees interactions between modalities that separate experts cannot.

In:  plain summaries of all modalities of some cases. Out: the features of any subset of what a case has: summaries of
what does not speak are NaN, and one flag per modality says who speaks. Nothing here fits; see `training.joint`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array

from clinic_mm.fusion.heard import Heard
from clinic_mm.fusion.pool import FLOOR
from clinic_mm.predict.heads import Head

ROWS_AT_ONCE: Final = 4096
"""Bounds the memory of masked features."""


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Plain summaries of all modalities next to each other.

    Attributes:
        summaries: Of each case, NaN where a modality is absent.
        owner: The modality (its column) that each summary belongs to.
    """

    summaries: Float[Array, "n p"]
    owner: Int[Array, " p"]

    def of(self, case: Int[Array, " r"], present: Bool[Array, "r M"]) -> Float[Array, "r q"]:
        """Features of subsets, with one presence flag per modality after the summaries."""
        masked = np.where(present[:, self.owner], self.summaries[case], np.nan)
        return np.hstack([masked, present.astype(np.float32)])

    def logits(self, head: Head, case: Int[Array, " r"], present: Bool[Array, "r M"]) -> Float[Array, "r C"]:
        """Log-probabilities of subsets by a head on these features."""
        parts = [np.zeros((0, head.n_classes))]
        for start in range(0, len(case), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            parts.append(np.log(np.clip(head.predict(self.of(case[rows], present[rows])), FLOOR, 1.0)))
        return np.concatenate(parts)


def mixed(pool: Float[Array, "r C"], joint: Float[Array, "r C"], share: float) -> Float[Array, "r C"]:
    """The pool's opinion and that of the joint head, averaged in the logarithm."""
    return (1 - share) * pool + share * joint


def side_by_side(plain: Mapping[str, Float[Array, "n p"]], names: Sequence[str]) -> SideBySide:
    """The plain summaries of some cases, in the order of the columns."""
    tables = [plain[name] for name in names]
    return SideBySide(np.hstack(tables), np.repeat(np.arange(len(tables)), [t.shape[1] for t in tables]))


def concatenated(heard: Heard) -> Float[Array, "n q"]:
    """Each case with all that it has."""
    return side_by_side(heard.plain, heard.names).of(np.arange(len(heard)), heard.present)
