"""All that a way of joining may look at: one encoding of some cases, asked for as many subsets as one likes.

In:  what preparation and experts made of the cases. Out: the same, side by side, with columns in the order of `names`.
Nothing of an absent modality may be looked at; what stands there (NaN, the prior) says nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

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
