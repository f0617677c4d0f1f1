"""Gated residual attention: Perceiver latents whose word stands behind a gate, to be added to another's logits.

In:  tokens with masks and times. Out: what they add to a pool's logits (`correction`).
The gate starts small but above zero, so that gradients flow and the pool leads. It is the residual of the default
model; as a way of joining by itself there is `perceiver`, and `mbt` where modalities talk through latents.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.perceiver import Perceiver
from clinic_mm.shapes import Logits, Presence

FIRST_GATE: Final = 0.1


class Bottleneck(Perceiver):
    """Perceiver latents and a gate."""

    def __init__(self, names: Sequence[str], width: int, prior: Tensor) -> None:
        super().__init__(names, width, prior)
        self.log_gate = nn.Parameter(torch.tensor(FIRST_GATE).log())

    def read(self, outputs: Mapping[str, ModalityOutput], present: Bool[Tensor, "B R M"]) -> Float[Tensor, "B R C"]:
        """The gated word of the latents."""
        return self.log_gate.exp() * super().read(outputs, present)

    def correction(
        self, outputs: Mapping[str, ModalityOutput], present: Presence, case: Int[Tensor, " B"] | None = None
    ) -> Logits:
        """What to add to another fusion's logits: zero for the empty subset."""
        return self.forward(outputs, present, case) - self.prior
