"""What retrieval asks of a way of joining: a vector for any subset of any case, all in one space.

In:  `Heard`, and rows of (case, subset). Out: vectors whose cosine similarity says how alike two rows are, whatever
modalities each of them has. Here is the contract alone.
"""

from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array

from clinic_mm.fusion.heard import Heard


@runtime_checkable
class Embedding(Protocol):
    """Anything that puts subsets of modalities into one shared space."""

    def embed(self, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]) -> Float[Array, "r d"]:
        """Vectors of subsets.

        Args:
            heard: One encoding of the cases.
            case: Which case each row asks about.
            present: Who speaks in each row, a subset of what the case has. Where nobody does, zeros.
        """
