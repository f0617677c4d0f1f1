"""A head on a table of what speaks: stacking on opinions, or one model on all plain summaries side by side.

In:  `Heard`. Out: logits of any subset; nobody gives the log prior. Two tables, each with a presence flag per modality
at the end, and NaN wherever a modality does not speak:

    opinions   log-odds of each class but the first, less those of the prior, of each expert
    plain      the plain summaries of every modality

Nothing here fits: see `training.methods.stacking` and `training.methods.plain`. The head travels as arrays.

Source: stacking, Wolpert 1992, doi:10.1016/S0893-6080(05)80023-1; on probabilities, Ting & Witten 1999,
doi:10.1613/jair.594.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self, cast

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from pydantic import JsonValue

from clinic_mm.fusion.heard import Heard
from clinic_mm.fusion.joined import Cost, Joined, State
from clinic_mm.fusion.pool import FLOOR, log_ratio
from clinic_mm.predict.heads import Head, RidgeHead, TreeHead, from_arrays
from clinic_mm.predict.joint import ROWS_AT_ONCE, side_by_side

Reads = Literal["opinions", "plain"]


@dataclass(frozen=True, slots=True)
class Headed(Joined):
    """A fitted head and the table that it reads.

    Attributes:
        names: Modalities, in the order of the columns.
        prior: Class prior.
        reads: Which table.
        head: Fitted on it.
    """

    names: tuple[str, ...]
    prior: Float[Array, " C"]
    reads: Reads
    head: Head
    kind: ClassVar[str] = "headed"

    def logits(self, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]) -> Float[Array, "r C"]:
        """See `Joined.logits`."""
        out = np.tile(np.log(self.prior), (len(case), 1))
        rows = np.flatnonzero(present.any(axis=1))
        for start in range(0, len(rows), ROWS_AT_ONCE):
            some = rows[start : start + ROWS_AT_ONCE]
            x = table(self.reads, heard, self.prior, case[some], present[some])
            out[some] = np.log(np.clip(self.head.predict(x), FLOOR, 1.0))
        return out

    def to_state(self) -> State:
        """What it reads, and the head's arrays."""
        told: dict[str, JsonValue] = {"reads": self.reads, "head": self.head.kind}
        arrays = {f"head/{key}": a for key, a in self.head.to_arrays().items()}
        return {**told, "names": list[JsonValue](self.names)}, {**arrays, "prior": self.prior}

    @classmethod
    def from_state(cls, told: Mapping[str, JsonValue], arrays: Mapping[str, Array]) -> Self:
        """The same again."""
        own = {key.partition("/")[2]: a for key, a in arrays.items() if key.startswith("head/")}
        names = tuple(cast(Sequence[str], told["names"]))
        return cls(names, arrays["prior"], cast(Reads, told["reads"]), from_arrays(cast(str, told["head"]), own))

    def cost(self) -> Cost:
        """Weights of a linear head; of trees their nodes, and one addition for each tree."""
        if isinstance(self.head, TreeHead):
            return Cost(len(self.head.feature), len(self.head.roots))
        assert isinstance(self.head, RidgeHead)
        return Cost(self.head.coef.size + self.head.intercept.size, self.head.coef.size)


def table(
    reads: Reads,
    heard: Heard,
    prior: Float[Array, " C"],
    case: Int[Array, " r"],
    present: Bool[Array, "r M"],
) -> Float[Array, "r q"]:
    """What a head reads of subsets."""
    if reads == "plain":
        return side_by_side(heard.plain, heard.names).of(case, present)
    ratio = log_ratio(heard.opinions[case], prior)
    odds = np.where(present[..., None], ratio[..., 1:] - ratio[..., :1], np.nan)
    return np.hstack([odds.reshape(len(case), -1), present.astype(float)])
