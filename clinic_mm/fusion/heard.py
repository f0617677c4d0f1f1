"""All that a way of joining may look at: one encoding of some cases, asked for as many subsets as one likes.

In:  what preparation and experts made of the cases. Out: the same, side by side, with columns in the order of `names`.
Nothing of an absent modality may be looked at; what stands there (NaN, the prior) says nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array

from clinic_mm.encoders.run import Spoken


@dataclass(frozen=True, slots=True)
class Heard:
    """One encoding of n cases.

    Attributes:
        names: Modalities, in the order of the columns.
        plain: Plain summaries of each modality [n, p], rows of NaN where absent.
        opinions: Class probabilities of each expert, the prior where absent; out of fold while anything is fitted.
        present: Which modality speaks in which case.
        time_h: Hours from the acquisition to the decision, NaN where unknown.
        row: For each modality, each case's row in `spoken` and `x`, -1 where absent.
        spoken: What frozen encoders said of the present rows; empty where no network was asked.
        x: Prepared tensors of the present rows, for encoders that learn together with the fusion; may be empty.
    """

    names: tuple[str, ...]
    plain: Mapping[str, Float[Array, "n p"]]
    opinions: Float[Array, "n M C"]
    present: Bool[Array, "n M"]
    time_h: Float[Array, "n M"]
    row: Mapping[str, Int[Array, " n"]]
    spoken: Mapping[str, Spoken] = field(default_factory=dict)
    x: Mapping[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.present)


def together(first: Heard, second: Heard) -> Heard:
    """The cases of both, the first ones first. What frozen encoders said is left out: chains may differ."""
    assert first.names == second.names, "columns must stand in the same order"
    held = {name: (first.row[name] >= 0).sum() for name in first.names}
    return Heard(
        names=first.names,
        plain={n: np.concatenate([first.plain[n], second.plain[n]]) for n in first.names},
        opinions=np.concatenate([first.opinions, second.opinions]),
        present=np.concatenate([first.present, second.present]),
        time_h=np.concatenate([first.time_h, second.time_h]),
        row={n: np.concatenate([first.row[n], _after(second.row[n], held[n])]) for n in first.names},
        x={n: np.concatenate([first.x[n], second.x[n]]) for n in first.x},
    )


def _after(row: Int[Array, " n"], held: int) -> Int[Array, " n"]:
    moved: Array = np.where(row >= 0, row + held, -1)
    return moved
