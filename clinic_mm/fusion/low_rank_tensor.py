"""Low-rank tensor fusion: tensor fusion whose weights are a sum of few products, so that the tensor is never formed.

    logits = f(Σ_r w_r ⊙_m F_m^r [a_m z_m; 1])

An absent modality is [0, ..., 0, 1]: its factor is the last column of F_m^r, here the bias, which starts at 1, so that
the lower orders are there from the first step. All factors are one parameter. Parameters and multiply-adds are linear
in M.

Source: Liu et al. 2018, arXiv 1806.00064.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.algebra import OwnLinear, head, summaries
from clinic_mm.fusion.base import Fusion
from clinic_mm.shapes import Logits, Presence

RANK: Final = 4
FIRST_SCALE: Final = 0.3
"""Spread of a factor around 1 before training, for summaries of unit variance."""


class LowRankTensor(Fusion):
    """One network over the sum of RANK products."""

    reads_tokens = False

    def __init__(self, names: Sequence[str], width: int, prior: Tensor) -> None:
        super().__init__(names, width, prior)
        self.factor = OwnLinear(len(self.names), width, RANK * width, scale=FIRST_SCALE, bias=1.0)
        self.share = nn.Parameter(torch.full((RANK,), RANK**-0.5))
        self.head = head(width, width, len(prior))

    def evidence(self, outputs: Mapping[str, ModalityOutput], present: Presence) -> Logits:
        """The network over the weighted products."""
        del present  # absent summaries are zeros already: their factor is the bias
        products = self.factor(summaries(outputs, self.names)).prod(dim=1)
        joined = torch.einsum("brd,r->bd", products.unflatten(1, (RANK, self.width)), self.share)
        word: Tensor = self.head(joined)
        return word
