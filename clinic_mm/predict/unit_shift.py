"""Tell a record whose numbers are in another unit than it says: glucose in mmol/L under the name of mg/dL.

In:  plain summaries of a record [n, p]. Out: for each record how much better its least likely number would fit training
in one of the units that such a number may have been written in, and which.

A number that is merely extreme fits no better in another unit, or not by enough: it is left alone.
Nothing here fits (see `training.unit_shift`).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array

from clinic_mm.types import Flag

MEND: Final = "Check the unit of that result at its source, and ingest the record again"
FREEDOM: Final = 4.0
"""Degrees of freedom of Student's t: tails of results are heavy even on a logarithmic scale."""


@dataclass(frozen=True, slots=True)
class UnitShift:
    """What each numeric summary is like in training, and what else its numbers could be in.

    Attributes:
        names: Of the summaries looked at, as shown to people [c].
        column: Their columns among the plain summaries [c].
        centre: Median of the logarithm [c].
        below: How far the logarithm spreads below it, in standard deviations of a Gaussian [c].
        above: The same above it [c].
        owner: The summary that each alternative is of [a].
        scale: Value * scale + offset is what it would be, had it been written in the alternative's unit [a].
        offset: See `scale` [a].
        units: Of the alternatives, in words [a].
        threshold: Gain in log-likelihood beyond which a record is believed to be in other units.
        rate: Share of good records beyond it.
        n: Patients behind it.
    """

    names: tuple[str, ...]
    column: Int[Array, " c"]
    centre: Float[Array, " c"]
    below: Float[Array, " c"]
    above: Float[Array, " c"]
    owner: Int[Array, " a"]
    scale: Float[Array, " a"]
    offset: Float[Array, " a"]
    units: tuple[str, ...]
    threshold: float
    rate: float
    n: int

    def gains(self, plain: Float[Array, "n p"]) -> Float[Array, "n a"]:
        """Log-likelihood ratio of each alternative against the unit as written; minus infinity where nothing stands."""
        value = plain[:, self.column].astype(np.float64)
        written = self._surprise(value, np.arange(len(self.names)))[:, self.owner]
        otherwise = self._surprise(value[:, self.owner] * self.scale + self.offset, self.owner)
        gains: Array = np.where(np.isfinite(written) & np.isfinite(otherwise), written - otherwise, -np.inf)
        return gains

    def _surprise(self, value: Float[Array, "n k"], cell: Int[Array, " k"]) -> Float[Array, "n k"]:
        """Minus the log-density of Student's t on the logarithm, up to a constant; NaN where there is no logarithm."""
        with np.errstate(invalid="ignore", divide="ignore"):
            from_middle = np.where(value > 0, np.log(value), np.nan) - self.centre[cell]
        z = from_middle / np.where(from_middle < 0, self.below[cell], self.above[cell])
        surprise: Array = (FREEDOM + 1) / 2 * np.log1p(z * z / FREEDOM)
        return surprise

    def find(self, plain: Float[Array, "n p"], kind: str) -> dict[int, Flag]:
        """Records that are in other units, each with the result that shows it most."""
        if not len(self.owner):
            return {}
        gains = self.gains(plain)
        best = gains.argmax(axis=1)
        return {int(row): self._told(best[row], kind) for row in np.flatnonzero(gains.max(axis=1) > self.threshold)}

    def _told(self, which: int, kind: str) -> Flag:
        name = self.names[self.owner[which]]
        why = f"{name!r} fits what {self.n} training patients had only if it is {self.units[which]}"
        return Flag(code=f"{kind}.other_unit", why=why)
