"""Low-rank bilinear: products of pairs through a few factors per modality.

    logits = b + Σ_m a_m U_m z_m + P Σ_{i<j} (a_i F_i z_i) ⊙ (a_j F_j z_j)

which is the bilinear fusion with W_ij = F_iᵀ diag(P_c) F_j of rank RANK for class c. A modality has the same factors in
all its pairs, and the sum over pairs is taken by a running sum: parameters and multiply-adds are linear in M. An absent
modality adds nothing; one modality alone is a linear model.

Source: Kim et al. 2017, arXiv 1610.04325 (two modalities); factors shared by all pairs as in the factorisation machines
of Rendle 2010, doi:10.1109/ICDM.2010.127.
"""

from collections.abc import Sequence
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from clinic_mm.fusion.bilinear import Pairwise
from clinic_mm.shapes import Logits

RANK: Final = 32


class LowRankBilinear(Pairwise):
    """RANK factors per modality, read by every class."""

    def __init__(self, names: Sequence[str], width: int, prior: Tensor) -> None:
        super().__init__(names, width, prior)
        several = len(self.names) > 1
        self.factor = nn.Parameter(width**-0.5 * torch.randn(len(self.names), width, RANK)) if several else None
        self.read = nn.Linear(RANK, len(prior), bias=False) if several else None

    def pairs(self, z: Float[Tensor, "B M D"]) -> Logits:
        """Each modality times the sum of those before it: no difference of large numbers, as (Σh)² - Σh² has."""
        if self.factor is None or self.read is None:
            return z.new_zeros(len(z), len(self.prior))
        h = torch.einsum("bmd,mdr->bmr", z, self.factor)
        word: Tensor = self.read((h[:, 1:] * h.cumsum(dim=1)[:, :-1]).sum(dim=1))
        return word
