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
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.tokens import Layer, TokenFusion, muted
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
        """What the latents have read, one subset of each case."""
        return self.read(outputs, present[:, None]).squeeze(1)

    def answers(self, outputs: Mapping[str, ModalityOutput], present: Presence, case: Int[Tensor, " B"]) -> Logits:
        """The tokens of each case are read once, however many of its subsets are asked for."""
        cases, row, column = _grid(case)
        asked = present.new_zeros(len(cases), int(column.max()) + 1, present.shape[1])
        asked[row, column] = present
        return self.read(self.real(outputs, asked.any(dim=1), cases), asked)[row, column]

    def read(self, outputs: Mapping[str, ModalityOutput], present: Bool[Tensor, "B R M"]) -> Float[Tensor, "B R C"]:
        """What the latents have read in R subsets of each case: all stand side by side, and hear only their own."""
        parts = self.marked(outputs, present.any(dim=1))
        tokens = torch.cat([tokens for tokens, _ in parts], dim=1)
        holes = torch.cat([hole[:, None] | ~present[:, :, k, None] for k, (_, hole) in enumerate(parts)], dim=2)
        n_subsets = present.shape[1]
        whose = torch.arange(n_subsets, device=present.device).repeat_interleave(LATENTS)
        strangers = (whose[:, None] != whose).expand(len(present), -1, -1)
        padding = torch.cat([strangers, holes[:, whose]], dim=2)
        latents = self.latents.repeat(n_subsets, 1).expand(len(present), -1, -1)
        unheard = muted(padding, latents)
        for layer in self.layers:
            latents = layer(latents, torch.cat([latents, tokens], dim=1), unheard)
        word: Tensor = self.head(latents.reshape(len(latents), n_subsets, LATENTS, -1).mean(dim=2))
        return word


def _grid(case: Int[Tensor, " r"]) -> tuple[Tensor, Tensor, Tensor]:
    """The different cases, and for each row its case among them and its place among the rows of that case."""
    cases, row, count = torch.unique(case, return_inverse=True, return_counts=True)
    order = row.argsort(stable=True)
    column = torch.empty_like(row)
    column[order] = torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row[order]]
    return cases, row, column
