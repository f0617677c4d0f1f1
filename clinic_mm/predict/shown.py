"""Tell a picture that is shown the wrong way (inverted, upside down) or a recording with its sides swapped.

In:  what a detector looks at of one modality [n, p] (`pose`). Out: for each way of going wrong a score, and which
of them is more like the training cases' own wrong copies than like the training cases.

The judge learnt from the training cases against copies of themselves: no label, no other picture. It knows only the
ways that the prep lists (`Prep.mistakes`). Nothing here fits (see `training.shown`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm.prep.base import Mistake, Prep
from clinic_mm.signals import Signal
from clinic_mm.types import Flag

MEND: Final = "Look at it; if it is shown wrongly, ask the site to export it again"


def pose(prep: Prep[Signal], x: Float[Array, "n ..."]) -> Float[Array, "n p"]:
    """What the judge looks at: how it looks, and how rough it is where."""
    return np.hstack([prep.looks(x), prep.texture(x)])


@dataclass(frozen=True, slots=True)
class Shown:
    """Linear discriminants of a modality against its wrong copies, one for each way.

    Attributes:
        ways: Codes of the mistakes, in the order of the rows of `weights`.
        middle: What stands for a missing one, and is taken off [p].
        weights: Of the pose [k, p].
        bias: [k]; a score above 0 is nearer to the wrong copies.
        threshold: Score beyond which a way is believed [k], at least 0.
        auroc: Of held-out training cases against their copies [k].
        caught: Share of held-out copies beyond the threshold [k].
        n: Patients behind it.
        rate: False alarms that it was set to, all ways of a kind together.
    """

    ways: tuple[str, ...]
    middle: Float[Array, " p"]
    weights: Float[Array, "k p"]
    bias: Float[Array, " k"]
    threshold: Float[Array, " k"]
    auroc: Float[Array, " k"]
    caught: Float[Array, " k"]
    n: int
    rate: float

    def scores(self, poses: Float[Array, "n p"]) -> Float[Array, "n k"]:
        """Log-odds, of a Gaussian of one covariance, for the copy against the case as it should be.

        Source: Fisher 1936, doi:10.1111/j.1469-1809.1936.tb02137.x.
        """
        centred = np.nan_to_num(poses.astype(np.float64) - self.middle)
        scores: Array = np.einsum("np,kp->nk", centred, self.weights) + self.bias
        return scores

    def find(self, poses: Float[Array, "n p"], mistakes: Mapping[str, Mistake]) -> dict[int, Flag]:
        """Rows that are shown wrongly, each with the way that fits best."""
        scores = self.scores(poses)
        beyond = scores > self.threshold
        best = np.where(beyond, scores, -np.inf).argmax(axis=1)
        return {int(row): self._told(mistakes[self.ways[best[row]]]) for row in np.flatnonzero(beyond.any(axis=1))}

    def _told(self, mistake: Mistake) -> Flag:
        so = f"the studies of {self.n} training patients shown so"
        why = f"It looks {mistake.words}: it is more like {so} than like the same studies as they are"
        return Flag(code=mistake.code, why=why)
