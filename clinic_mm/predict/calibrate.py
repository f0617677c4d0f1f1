"""Calibration per availability pattern: how much of its confidence an answer may keep, and where it is moved to.

In:  logits [n, C] and the subset that each was made from [n, M]. Out: calibrated probabilities.

    answer  = centre + (logits - centre) / T_S + b + b_S + sum over m not acquired of a_m
    log T_S = t_0 + t_|S| + t_S     (t_S and b_S are 0 where the pattern is rare; all are shrunk toward 0)

The centre is the class prior in log units, so that a temperature changes how far evidence moves the answer and nothing
else; b is a shift of the prior (another site, another prevalence); a_m is what it says of a patient that a modality was
never acquired (a test is ordered for a reason): it goes by what the case has, not by the subset that is asked about.
Temperatures and shifts keep the ranking within a pattern of two classes. The empty subset answers with the prior, which
nothing but the b of another site moves.
Source: Guo et al., arXiv 1706.04599 (temperature and, with shifts, bias-corrected temperature scaling: Alexandari,
Kundaje & Shrikumar, arXiv 1901.06852); per pattern because a pattern-blind fit fails on the rare ones (METHODS §1.4).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array

from clinic_mm.fusion.pool import Pattern, pattern_of, softmax


@dataclass(frozen=True, slots=True)
class Temperatures:
    """Fitted temperatures and shifts.

    Attributes:
        names: Modalities, in the order of the columns.
        base: t_0.
        size: t_s for s = 1 … M (index s - 1).
        own: t_S for patterns with a value of their own.
        centre: Log prior [C]; None for 0, as artifacts before 1.1 have it.
        shift: b [C]; None for 0.
        own_shift: b_S [C] for patterns with a value of their own.
        absent: a_m [M, C]; None for 0.
        before: The calibration that this one comes after (another site's), if it does.
        of_prior: Whether b is a shift of the prior itself, so that the empty subset has it too; in training it is not.
    """

    names: tuple[str, ...]
    base: float
    size: Float[Array, " M"]
    own: Mapping[Pattern, float] = field(default_factory=dict)
    centre: Float[Array, " C"] | None = None
    shift: Float[Array, " C"] | None = None
    own_shift: Mapping[Pattern, Float[Array, " C"]] = field(default_factory=dict)
    absent: Float[Array, "M C"] | None = None
    before: "Temperatures | None" = None
    of_prior: bool = True

    def log_temperature(self, present: Bool[Array, "n M"]) -> Float[Array, " n"]:
        """Log T of each row, without what came before; 0 for the empty subset."""
        count = present.sum(axis=1)
        out = np.where(count > 0, self.base + self.size[np.maximum(count, 1) - 1], 0.0)
        for pattern, value in self.own.items():
            out += value * self._rows(present, pattern)
        return out

    def logits(
        self, logits: Float[Array, "n C"], present: Bool[Array, "n M"], had: Bool[Array, "n M"] | None = None
    ) -> Float[Array, "n C"]:
        """Calibrated logits; probabilities are their softmax.

        Args:
            logits: Uncalibrated.
            present: The subset behind each row.
            had: What the case of each row has in all; the subset itself where None.
        """
        if self.before is not None:
            logits = self.before.logits(logits, present, had)
        centre = 0.0 if self.centre is None else self.centre
        out: Array = centre + (logits - centre) / np.exp(self.log_temperature(present))[:, None]
        some = (present.sum(axis=1) > 0)[:, None]
        if self.shift is not None:
            out += np.where(some | self.of_prior, self.shift, 0.0)
        for pattern, value in self.own_shift.items():
            out += self._rows(present, pattern)[:, None] * value
        if self.absent is not None:
            out += some * (~(present if had is None else had) @ self.absent)
        return out

    def probabilities(
        self, logits: Float[Array, "n C"], present: Bool[Array, "n M"], had: Bool[Array, "n M"] | None = None
    ) -> Float[Array, "n C"]:
        """Calibrated probabilities; arguments as `logits`."""
        return softmax(self.logits(logits, present, had))

    def after(self, first: "Temperatures") -> "Temperatures":
        """`first` and then this one, whose centre must be what `first`, with all before it, says of no evidence."""
        nothing, oldest = np.zeros((1, len(self.names)), dtype=bool), first
        while oldest.before is not None:
            oldest = oldest.before
        assert oldest.centre is None or self.centre is not None
        assert self.before is None
        if oldest.centre is not None and self.centre is not None:
            ends = softmax(first.logits(oldest.centre[None], nothing)[0])
            assert np.allclose(softmax(self.centre), ends), "the second starts where the first ends"
        return replace(self, before=first)

    @property
    def moves_prior(self) -> bool:
        """Whether the answer without evidence is another than in training."""
        own = self.shift is not None and self.of_prior
        return own or (self.before is not None and self.before.moves_prior)

    def _rows(self, present: Bool[Array, "n M"], pattern: Pattern) -> Bool[Array, " n"]:
        found: Array = (present == np.isin(self.names, pattern)).all(axis=1)
        return found


def temperatures_told(temperatures: Temperatures) -> dict[str, Any]:
    """As JSON; numbers keep every bit."""
    told = {
        "base": temperatures.base,
        "size": temperatures.size.tolist(),
        "own": {"+".join(p): t for p, t in temperatures.own.items()},
        "own_shift": {"+".join(p): b.tolist() for p, b in temperatures.own_shift.items()},
        "of_prior": temperatures.of_prior,
    }
    parts = {"centre": temperatures.centre, "shift": temperatures.shift, "absent": temperatures.absent}
    told |= {name: part.tolist() for name, part in parts.items() if part is not None}
    return told if temperatures.before is None else {**told, "before": temperatures_told(temperatures.before)}


def temperatures_from(told: Mapping[str, Any], names: tuple[str, ...]) -> Temperatures:
    """What `temperatures_told` told of."""
    centre, shift, absent = (np.array(told[n]) if n in told else None for n in ("centre", "shift", "absent"))
    own_shift = {pattern_of(p): np.array(b) for p, b in told.get("own_shift", {}).items()}
    own = {pattern_of(p): t for p, t in told["own"].items()}
    before = temperatures_from(told["before"], names) if "before" in told else None
    size, of_prior = np.array(told["size"]), told.get("of_prior", True)
    return Temperatures(names, told["base"], size, own, centre, shift, own_shift, absent, before, of_prior)
