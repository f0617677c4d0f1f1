"""Gated multimodal unit: for every case and channel a gate says how far each modality is let through.

    h_m = tanh(W_m z_m + b_m)
    g_m = σ(V_m [a_1 z_1; ...; a_M z_M] + c_m)
    logits = f(Σ_m a_m g_m ⊙ h_m)

An absent modality adds nothing to the sum and is zeros to the gates. Every gate looks at all modalities, as the paper
has it: parameters and multiply-adds grow with M².

Source: Arevalo et al. 2017, arXiv 1702.01992 (the unit for k modalities).
"""

from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.algebra import OwnLinear, head, only, summaries
from clinic_mm.fusion.base import Fusion
from clinic_mm.shapes import Logits, Presence

FIRST_SCALE: Final = 0.3
"""Spread of W_m z_m before training, for summaries of unit variance: tanh is not yet saturated."""


class Gated(Fusion):
    """One network over the gated sum."""

    reads_tokens = False

    def __init__(self, names: Sequence[str], width: int, prior: Tensor) -> None:
        super().__init__(names, width, prior)
        self.content = OwnLinear(len(self.names), width, width, scale=FIRST_SCALE)
        self.gate = nn.Linear(len(self.names) * width, len(self.names) * width)
        self.head = head(width, width, len(prior))

    def evidence(self, outputs: Mapping[str, ModalityOutput], present: Presence) -> Logits:
        """The network over the gated sum."""
        z = summaries(outputs, self.names)
        gates = self.gate(z.flatten(1)).sigmoid().view_as(z)
        contents = only(present, torch.tanh(self.content(z)))
        word: Tensor = self.head((gates * contents).sum(dim=1))
        return word
