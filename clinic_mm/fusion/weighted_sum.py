"""Weighted sum: like the mean, with a learned weight for each modality.

    logits = f(Σ_m w_m z_m),  w_m = a_m exp(s_m) / Σ_k a_k exp(s_k)

Weights are renormalised over the present; they start equal. One parameter more per modality.

Source: Kiela, Wang & Cho 2018, arXiv 1804.07983 (softmax weights over several embeddings of one thing); here the
scores are one per modality and do not depend on the case.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from clinic_mm.fusion.additive import Additive
from clinic_mm.fusion.algebra import shares
from clinic_mm.shapes import Presence


class WeightedSum(Additive):
    """One network over the weighted sum of summaries."""

    def __init__(self, names: Sequence[str], width: int, prior: Tensor) -> None:
        super().__init__(names, width, prior)
        self.score = nn.Parameter(torch.zeros(len(self.names)))

    def weights(self, present: Presence) -> Float[Tensor, "B M"]:
        """Learned weights, renormalised over the present."""
        return shares(present, self.score)
