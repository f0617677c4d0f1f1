"""Bilinear: each class weighs every product of a number of one modality with a number of another.

    logits = b + Σ_m a_m U_m z_m + Σ_{i<j} a_i a_j z_iᵀ W_ij z_j

This is Σ_{i<j} [z_i; 1]ᵀ W̃_ij [z_j; 1] with the linear terms that the appended 1 gives gathered by modality: where i is
absent its vector is [0, ..., 0, 1], and what j says alone stays. One modality alone is a linear model. W_ij has one
matrix per class; there is one W_ij for each pair, so parameters and multiply-adds grow with M².

Source: Tenenbaum & Freeman 2000, doi:10.1162/089976600300015349, for each pair of modalities.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.algebra import summaries
from clinic_mm.fusion.base import Fusion
from clinic_mm.shapes import Logits, Presence

FIRST_SCALE: Final = 0.03
"""Spread of a pair's word before training, for summaries of unit variance."""


class Pairwise(Fusion):
    """Linear terms of each modality; a subclass adds what pairs say. Absent summaries are zeros: they add nothing."""

    reads_tokens = False

    def __init__(self, names: Sequence[str], width: int, prior: Tensor) -> None:
        super().__init__(names, width, prior)
        self.linear = nn.Linear(len(self.names) * width, len(prior))

    @abstractmethod
    def pairs(self, z: Float[Tensor, "B M D"]) -> Logits:
        """What all pairs add; 0 for a pair with a zero row."""

    def evidence(self, outputs: Mapping[str, ModalityOutput], present: Presence) -> Logits:
        """Linear terms and pairs."""
        del present  # absent summaries are zeros already
        z = summaries(outputs, self.names)
        word: Tensor = self.linear(z.flatten(1)) + self.pairs(z)
        return word


class Bilinear(Pairwise):
    """A full matrix per pair and class."""

    def __init__(self, names: Sequence[str], width: int, prior: Tensor) -> None:
        super().__init__(names, width, prior)
        pairs = list(combinations(range(len(self.names)), 2))
        self.first, self.second = [i for i, _ in pairs], [j for _, j in pairs]
        weight = FIRST_SCALE / width * torch.randn(len(pairs), width, len(prior), width)
        self.weight = nn.Parameter(weight) if pairs else None

    def pairs(self, z: Float[Tensor, "B M D"]) -> Logits:
        """Σ over i < j of z_iᵀ W_ij z_j, for every class."""
        if self.weight is None:
            return z.new_zeros(len(z), len(self.prior))
        turned = torch.einsum("bpd,pdce->bpce", z[:, self.first], self.weight)
        return torch.einsum("bpce,bpe->bc", turned, z[:, self.second])
