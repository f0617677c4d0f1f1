"""Ask the deployed expert of one modality about many versions of one signal.

In:  an expert, its prep, signals. Out: the log-odds of one class, one number per signal.

Every version goes through the same prep as any case, so that plain summaries and tensors are made anew from it; the
opinion is what `predict.experts.judge` says of them. Nothing here knows how a version was made.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.predict.experts import Expert, judge
from clinic_mm.predict.heads import FLOOR
from clinic_mm.prep.base import Prep, Prepared
from clinic_mm.signals import Signal

AT_ONCE: Final = 32
"""Versions prepared before the expert is asked: bounds memory."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question to one expert.

    Attributes:
        expert: As deployed.
        prep: Of its modality, as deployed.
        target: Index of the class whose log-odds are wanted.
    """

    expert: Expert
    prep: Prep[Signal]
    target: int

    def __call__(self, signals: Iterable[Signal]) -> Float64[Array, " n"]:
        """Log-odds of the class for each signal; NaN for one that the prep refuses."""
        parts = [self._logodds([self._prepared(one) for one in some]) for some in _batched(signals)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def one(self, signal: Signal) -> float:
        """Log-odds for the signal as it is.

        Raises:
            EvidenceError: If the prep refuses it.
        """
        return float(self._logodds([self.prep(signal)])[0])

    def _prepared(self, signal: Signal) -> Prepared | None:
        try:
            return self.prep(signal)
        except EvidenceError:
            return None

    def _logodds(self, prepared: list[Prepared | None]) -> Float64[Array, " n"]:
        out = np.full(len(prepared), np.nan)
        kept = [one for one in prepared if one is not None]
        if not kept:
            return out
        plain = np.stack([one.plain for one in kept])
        network = not self.expert.how.startswith("plain")
        spoken = self.expert.hear(np.stack([one.x for one in kept])) if network else None
        p = np.clip(judge(self.expert.how, self.expert.head, plain, spoken)[:, self.target], FLOOR, 1 - FLOOR)
        out[[one is not None for one in prepared]] = np.log(p) - np.log1p(-p)
        return out


def _batched(signals: Iterable[Signal]) -> Iterable[list[Signal]]:
    some: list[Signal] = []
    for one in signals:
        some.append(one)
        if len(some) == AT_ONCE:
            yield some
            some = []
    if some:
        yield some
