"""Perceiver latents: a few learnt latents read the tokens of whoever is present, and they alone are read out.

In:  tokens with masks and times. Out: what they add to the log prior.

    Z <- Z + softmax(Q(Z) K([Z; X])' / sqrt d) V([Z; X]);    Z <- Z + MLP(Z);    evidence = head(mean Z)

Four latents, two layers; X are all real tokens of the present. Latents stand among the keys, so that one attention
does what the paper does by two (cross, then self), as in the resampler of Flamingo. Cost is linear in tokens and
modalities.

Source: Jaegle et al. 2021, arXiv 2103.03206; keys [Z; X] after Alayrac et al. 2022, arXiv 2204.14198.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.tokens import Layer, TokenFusion
from clinic_mm.shapes import Logits, Presence

LATENTS: Final = 4
LAYERS: Final = 2


class Perceiver(TokenFusion):
    """Latents, layers that all modalities share, and a head."""

    def __init__(self, names: Sequence[str], width: int, prior: Tensor) -> None:
        # Drawn before all else, as ever: the same seed makes the same residual of the default model.
        latents = 0.1 * torch.randn(LATENTS, width)
        super().__init__(names, width, prior)
        self.latents = nn.Parameter(latents)
        self.layers = nn.ModuleList(Layer(width) for _ in range(LAYERS))
        self.head = nn.Linear(width, len(prior))

    def evidence(self, outputs: Mapping[str, ModalityOutput], present: Presence) -> Logits:
        """What the latents have read."""
        parts = self.marked(outputs, present)
        latents = self.latents.expand(len(present), -1, -1)
        never = present.new_zeros(latents.shape[:2])
        padding = torch.cat([never, *(hole for _, hole in parts)], dim=1)
        for layer in self.layers:
            latents = layer(latents, torch.cat([latents, *(tokens for tokens, _ in parts)], dim=1), padding)
        word: Tensor = self.head(latents.mean(dim=1))
        return word
