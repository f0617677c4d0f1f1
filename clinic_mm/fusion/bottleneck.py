"""Gated residual attention: a few latents read the tokens of whoever is present; a gate lets their word through.

In:  tokens with masks and times. Out: what they add to the log prior (or to a pool's logits: `correction`).
Four latents, two shared layers; tokens are masked as keys, latents never are; cost is linear in tokens and modalities.
The gate starts small but above zero, so that gradients flow and the pool leads.

Source: bottleneck tokens of Nagrani et al., arXiv 2107.00135; Perceiver latents of Jaegle et al., arXiv 2103.03206.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.base import Fusion
from clinic_mm.shapes import Logits, Presence

LATENTS: Final = 4
LAYERS: Final = 2
HEADS: Final = 4
FIRST_GATE: Final = 0.1
HOURS_UNIT: Final = 24.0


class Layer(nn.Module):
    """Latents attend to themselves and to the tokens, then think."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query_norm, self.key_norm, self.mlp_norm = (nn.LayerNorm(width) for _ in range(3))
        self.attend = nn.MultiheadAttention(width, HEADS, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, latents: Tensor, tokens: Tensor, padding: Tensor) -> Tensor:
        """One round; `padding` [B, T] is True where a token is not real."""
        keys = self.key_norm(torch.cat([latents, tokens], dim=1))
        never = padding.new_zeros(len(padding), latents.shape[1])
        mask = torch.cat([never, padding], dim=1)
        heard, _ = self.attend(self.query_norm(latents), keys, keys, key_padding_mask=mask, need_weights=False)
        latents = latents + heard
        thought: Tensor = latents + self.mlp(self.mlp_norm(latents))
        return thought


class Bottleneck(Fusion):
    """Latents, shared layers, and a gated head."""

    def __init__(self, names: Sequence[str], width: int, prior: Tensor) -> None:
        super().__init__(names, width, prior)
        self.latents = nn.Parameter(0.1 * torch.randn(LATENTS, width))
        self.whose = nn.Parameter(0.1 * torch.randn(len(self.names), width))
        self.when = nn.Linear(1, width)
        self.token_norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(Layer(width) for _ in range(LAYERS))
        self.head = nn.Linear(width, len(prior))
        self.log_gate = nn.Parameter(torch.tensor(FIRST_GATE).log())

    def evidence(self, outputs: Mapping[str, ModalityOutput], present: Presence) -> Logits:
        """The gated word of the latents."""
        tokens, padding = self._keys(outputs, present)
        latents = self.latents.expand(len(present), -1, -1)
        for layer in self.layers:
            latents = layer(latents, tokens, padding)
        word: Tensor = self.log_gate.exp() * self.head(latents.mean(dim=1))
        return word

    def correction(self, outputs: Mapping[str, ModalityOutput], present: Presence) -> Logits:
        """What to add to another fusion's logits: zero for the empty subset."""
        return self.forward(outputs, present) - self.prior

    def _keys(self, outputs: Mapping[str, ModalityOutput], present: Presence) -> tuple[Tensor, Tensor]:
        """All tokens [B, sum T, D] with whose and when added, and where they are not real."""
        parts, padding = [], []
        for column, name in enumerate(self.names):
            said = outputs[name]
            when = self.when((said.time_h / HOURS_UNIT).abs().log1p()[..., None])
            parts.append(self.token_norm(said.tokens) + self.whose[column] + when)
            padding.append(~(said.token_mask & present[:, column, None]))
        return torch.cat(parts, dim=1), torch.cat(padding, dim=1)
