"""Multimodal bottleneck transformer: tokens attend within their own modality; a few latents carry word between them.

In:  tokens with masks and times. Out: what they add to the log prior. For each layer and each present modality m,

    [X_m'; Z_m] = layer_m([X_m; Z]),    Z' = mean over present m of Z_m

X_m is a class token and the modality's tokens, projected to a narrow width; Z are four bottleneck latents. Read out
from the class tokens by one head, logits averaged over the present. Layers belong to a modality: parameters and cost
are linear in M.

Source: Nagrani et al. 2021, arXiv 2107.00135, fusion in every layer. An absent modality is left out of both averages.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.tokens import Layer, TokenFusion
from clinic_mm.shapes import Logits, Presence, TokenMask, Tokens

LATENTS: Final = 4
LAYERS: Final = 2
NARROW: Final = 32
"""Width inside: each modality has layers of its own, and a cohort of some thousand cases feeds no wide ones."""
HEADS: Final = 2


class _Sequence(NamedTuple):
    """One modality in the rows that have it: class token first; `padding` counts the latents that will follow."""

    rows: Tensor
    tokens: Tokens
    padding: TokenMask


class MBT(TokenFusion):
    """Bottleneck latents, a class token and layers for each modality, and a shared head."""

    def __init__(self, names: Sequence[str], width: int, prior: Tensor) -> None:
        super().__init__(names, width, prior)
        self.narrow = nn.Linear(width, NARROW)
        self.latents = nn.Parameter(0.1 * torch.randn(LATENTS, NARROW))
        self.cls = nn.Parameter(0.1 * torch.randn(len(self.names), NARROW))
        self.layers = nn.ModuleList(nn.ModuleList(Layer(NARROW, HEADS) for _ in self.names) for _ in range(LAYERS))
        self.head = nn.Sequential(nn.LayerNorm(NARROW), nn.Linear(NARROW, len(prior)))

    def evidence(self, outputs: Mapping[str, ModalityOutput], present: Presence) -> Logits:
        """Mean opinion of the class tokens of the present."""
        parts = self._sequences(outputs, present)
        latents = self.latents.expand(len(present), -1, -1)
        for k in range(LAYERS - 1):
            said = [self._layer(k, m, part, latents) for m, part in enumerate(parts)]
            parts = [part._replace(tokens=whole[:, :-LATENTS]) for part, whole in zip(parts, said, strict=True)]
            latents = _mean([whole[:, -LATENTS:] for whole in said], parts, present)
        # Of the last layer the class tokens alone are read, so they alone need ask.
        last = [self._layer(LAYERS - 1, m, part, latents, n_queries=1) for m, part in enumerate(parts)]
        return _mean([self.head(whole[:, 0]) for whole in last], parts, present)

    def _sequences(self, outputs: Mapping[str, ModalityOutput], present: Presence) -> list[_Sequence]:
        parts = []
        for column, (tokens, padding) in enumerate(self.marked(outputs, present)):
            rows = present[:, column].nonzero().squeeze(1)
            cls = self.cls[column].expand(len(rows), 1, -1)
            never = padding.new_zeros(len(rows), 1)
            padding = torch.cat([never, padding[rows], never.expand(-1, LATENTS)], dim=1)
            parts.append(_Sequence(rows, torch.cat([cls, self.narrow(tokens[rows])], dim=1), padding))
        return parts

    def _layer(self, k: int, m: int, part: _Sequence, latents: Tensor, n_queries: int | None = None) -> Tensor:
        whole = torch.cat([part.tokens, latents[part.rows]], dim=1)
        layers = self.layers[k]
        assert isinstance(layers, nn.ModuleList)
        out: Tensor = layers[m](whole[:, :n_queries], whole, part.padding)
        return out


def _mean(said: Sequence[Tensor], parts: Sequence[_Sequence], present: Presence) -> Tensor:
    """Mean over the present modalities, each said for its own rows alone."""
    total = said[0].new_zeros(len(present), *said[0].shape[1:])
    for part, words in zip(parts, said, strict=True):
        total = total.index_add(0, part.rows, words)
    return total / present.sum(dim=1).view(-1, *[1] * (total.ndim - 1))
