"""Addition: the mean of the present summaries.

    logits = f(Σ_m a_m z_m / Σ_m a_m)

An absent modality takes no part in the mean. What two modalities say against each other cancels: it hides conflict.
Parameters do not depend on M; multiply-adds are linear in M.

Source: the mean over available modalities of Havaei et al. 2016 (HeMIS), arXiv 1607.05194.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.algebra import head, summaries
from clinic_mm.fusion.base import Fusion
from clinic_mm.shapes import Logits, Presence


class Additive(Fusion):
    """One network over the mean summary."""

    reads_tokens = False

    def __init__(self, names: Sequence[str], width: int, prior: Tensor) -> None:
        super().__init__(names, width, prior)
        self.head = head(width, width, len(prior))

    def weights(self, present: Presence) -> Float[Tensor, "B M"]:
        """Equal weights of the present, 0 of the absent; they sum to 1."""
        counted = present.to(self.prior.dtype)
        return counted / counted.sum(dim=1, keepdim=True)

    def evidence(self, outputs: Mapping[str, ModalityOutput], present: Presence) -> Logits:
        """The network over the weighted sum."""
        z = torch.einsum("bmd,bm->bd", summaries(outputs, self.names), self.weights(present))
        word: Tensor = self.head(z)
        return word
