"""Multiplication: modalities scale each other, channel by channel.

    logits = f(⊙_{m: a_m = 1} (W_m z_m + b_m))

An absent modality is the factor 1, never 0: a 0 would erase what all others say. Factors start near 1 (b_m = 1, small
W_m), so that a product of many neither vanishes nor blows up. Parameters and multiply-adds are linear in M.

Source: the Hadamard product of linear maps of Kim et al. 2017, arXiv 1610.04325, over any number of modalities.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from torch import Tensor

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.algebra import OwnLinear, head, only, summaries
from clinic_mm.fusion.base import Fusion
from clinic_mm.shapes import Logits, Presence

FIRST_SCALE: Final = 0.3
"""Spread of a factor around 1 before training, for summaries of unit variance."""


class Multiplicative(Fusion):
    """One network over the product of factors."""

    reads_tokens = False

    def __init__(self, names: Sequence[str], width: int, prior: Tensor) -> None:
        super().__init__(names, width, prior)
        self.factor = OwnLinear(len(self.names), width, width, scale=FIRST_SCALE, bias=1.0)
        self.head = head(width, width, len(prior))

    def evidence(self, outputs: Mapping[str, ModalityOutput], present: Presence) -> Logits:
        """The network over the product."""
        factors = only(present, self.factor(summaries(outputs, self.names)), filler=1.0)
        word: Tensor = self.head(factors.prod(dim=1))
        return word
