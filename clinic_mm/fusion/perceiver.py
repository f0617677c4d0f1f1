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
from torch.nn.functional import linear

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.tokens import Layer, TokenFusion
from clinic_mm.shapes import Logits, Presence, Tokens

LATENTS: Final = 4
LAYERS: Final = 2


class Reading(Layer):
    """Latents of many subsets read the tokens of their case: keys of tokens are made once for all of them."""

    def forward(
        self, latents: Float[Tensor, "B R L D"], tokens: Tokens, padding: Bool[Tensor, "B R T"]
    ) -> Float[Tensor, "B R L D"]:
        """One round.

        Args:
            latents: Of R subsets of each of B cases.
            tokens: Of each case.
            padding: True where a subset may not listen to a token. A latent may always listen to its fellows.
        """
        weight, bias = self.attend.in_proj_weight, self.attend.in_proj_bias
        width, heads = latents.shape[3], self.attend.num_heads
        query = linear(self.query_norm(latents), weight[:width], bias[:width])
        query = query.reshape(*latents.shape[:3], heads, -1)
        own, theirs = (
            linear(self.key_norm(keys), weight[width:], bias[width:]).reshape(*keys.shape[:-1], 2, heads, -1).unbind(-3)
            for keys in (latents, tokens)
        )
        scores = torch.cat(
            [
                torch.einsum("brlhd,brkhd->bhrlk", query, own[0]),
                torch.einsum("brlhd,bthd->bhrlt", query, theirs[0]).masked_fill(padding[:, None, :, None], -torch.inf),
            ],
            dim=4,
        )
        shares = (scores / query.shape[4] ** 0.5).softmax(dim=4).split([latents.shape[2], tokens.shape[1]], dim=4)
        heard = torch.einsum("bhrlk,brkhd->brlhd", shares[0], own[1])
        heard = heard + torch.einsum("bhrlt,bthd->brlhd", shares[1], theirs[1])
        latents = latents + self.attend.out_proj(heard.flatten(3))
        thought: Tensor = latents + self.mlp(self.mlp_norm(latents))
        return thought


class Perceiver(TokenFusion):
    """Latents, layers that all modalities share, and a head."""

    def __init__(self, names: Sequence[str], width: int, prior: Tensor) -> None:
        # Drawn before all else, as ever: the same seed makes the same residual of the default model.
        latents = 0.1 * torch.randn(LATENTS, width)
        super().__init__(names, width, prior)
        self.latents = nn.Parameter(latents)
        self.layers = nn.ModuleList(Reading(width) for _ in range(LAYERS))
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
        """What the latents have read in R subsets of each case."""
        parts = self.marked(outputs, present.any(dim=1))
        tokens = torch.cat([tokens for tokens, _ in parts], dim=1)
        padding = torch.cat(
            [hole[:, None] | ~present[:, :, column, None] for column, (_, hole) in enumerate(parts)], dim=2
        )
        latents = self.latents.expand(*present.shape[:2], -1, -1)
        for layer in self.layers:
            latents = layer(latents, tokens, padding)
        word: Tensor = self.head(latents.mean(dim=2))
        return word


def _grid(case: Int[Tensor, " r"]) -> tuple[Tensor, Tensor, Tensor]:
    """The different cases, and for each row its case among them and its place among the rows of that case."""
    cases, row, count = torch.unique(case, return_inverse=True, return_counts=True)
    order = row.argsort(stable=True)
    column = torch.empty_like(row)
    column[order] = torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row[order]]
    return cases, row, column
