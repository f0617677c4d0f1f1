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
from clinic_mm.predict.heads import Head, RidgeHead

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
        if isinstance(head, RidgeHead):
            judged: Array = np.log(np.clip(head.judged(self._sums(head, case, present)), FLOOR, 1.0))
            return judged
        parts = [np.zeros((0, head.n_classes))]
        for start in range(0, len(case), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            parts.append(np.log(np.clip(head.predict(self.of(case[rows], present[rows])), FLOOR, 1.0)))
        return np.concatenate(parts)

    def _sums(self, head: RidgeHead, case: Int[Array, " r"], present: Bool[Array, "r M"]) -> Float[Array, "r k"]:
        """Weighted features of subsets: each modality adds what it holds, or what its absence is worth.

        So a case is weighed once, however many of its subsets are asked for.
        """
        n_modalities = present.shape[1]
        cases, at = np.unique(case, return_inverse=True)
        speaks = np.hstack([self.summaries[cases], np.ones((len(cases), n_modalities))])
        silent = np.hstack([np.full(len(self.owner), np.nan), np.zeros(n_modalities)])[None]
        owner = np.concatenate([self.owner, np.arange(n_modalities)])
        owner = np.concatenate([owner, owner[head.flagged]])
        on, off = head.features(speaks), head.features(silent)
        sums = np.zeros((len(case), len(head.coef)))
        for modality in range(n_modalities):
            mine = owner == modality
            # contiguous: otherwise one row alone and the same row among many may differ in the last bit
            held, worth = (
                np.einsum("nf,kf->nk", np.ascontiguousarray(z[:, mine]), head.coef[:, mine]) for z in (on, off)
            )
            sums += np.where(present[:, [modality]], held[at], worth)
        return sums


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
