"""Concatenation: all summaries side by side with presence flags (feature level, early fusion).

    logits = f([a_1 z_1; ...; a_M z_M; a])

An absent modality is zeros and a flag of 0. Collapses on one modality unless trained with modality dropout.
Parameters and multiply-adds are linear in M.

Source: early fusion as in Baltrušaitis, Ahuja & Morency 2019, arXiv 1705.09406; presence as an input of its own:
Lipton, Kale & Wetzel 2016, arXiv 1606.04130.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.algebra import head, summaries
from clinic_mm.fusion.base import Fusion
from clinic_mm.shapes import Logits, Presence


class Concat(Fusion):
    """One network over everything side by side."""

    reads_tokens = False

    def __init__(self, names: Sequence[str], width: int, prior: Tensor) -> None:
        super().__init__(names, width, prior)
        self.head = head(len(self.names) * (width + 1), width, len(prior))

    def evidence(self, outputs: Mapping[str, ModalityOutput], present: Presence) -> Logits:
        """The network over summaries and flags."""
        z = summaries(outputs, self.names).flatten(1)
        word: Tensor = self.head(torch.cat([z, present.to(z.dtype)], dim=1))
        return word
