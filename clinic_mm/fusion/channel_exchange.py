"""Channel exchange, token level, on normalisation adapters: a channel that a modality does not need carries the others.

    x_m = γ_m ⊙ norm(token_m) + β_m
    x_{m,c} <- mean over the other present k of x̄_{k,c}   if |γ_{m,c}| < τ and c is in the part of m
    logits = Σ_m softmax_S(v)_m f(x_m)

Maps of different modalities do not align here, so what is taken over is a channel's mean x̄_k over the real tokens
of k. As in the paper, f is shared, only γ and β are each modality's own, channels are divided into M equal parts so
that no two modalities exchange the same channel, and γ in a modality's own part is pressed to zero by an L1 penalty.
Where nobody else is present, a channel keeps its own value; an absent modality neither gives nor answers.

Two things differ from the paper. Tokens are normalised over their channels (as by LayerNorm), not over the batch: right
with a batch of one. And γ starts at FIRST_SCALE in the part of m, at 1 elsewhere: a few hundred steps must be able to
decide what 1 could not reach. Parameters and multiply-adds are linear in M.

Source: Wang et al. 2020, arXiv 2011.05005.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.algebra import shares
from clinic_mm.fusion.base import Fusion
from clinic_mm.shapes import Logits, Presence, TokenMask, Tokens

THRESHOLD: Final = 0.02
"""τ of the paper."""
FIRST_SCALE: Final = 0.2
SPARSITY: Final = 3e-3
"""Weight of the L1 penalty: after 300 steps a modality of noise has exchanged its part."""


class ChannelExchange(Fusion):
    """One shared network per modality; adapters decide which channels hear the others."""

    part: Tensor

    def __init__(self, names: Sequence[str], width: int, prior: Tensor) -> None:
        super().__init__(names, width, prior)
        n = len(self.names)
        part = (torch.arange(width) * n // width == torch.arange(n)[:, None]) & (n > 1)
        self.register_buffer("part", part, persistent=False)
        self.scale = nn.Parameter(torch.where(part, FIRST_SCALE, 1.0))
        self.shift = nn.Parameter(torch.zeros(n, width))
        self.think = nn.Sequential(nn.Linear(width, width), nn.GELU())
        self.opinion = nn.Linear(width, len(prior))
        self.vote = nn.Parameter(torch.zeros(n))

    @property
    def exchanged(self) -> Tensor:
        """Which channels [M, D] of which modality carry the others."""
        return self.part & (self.scale.abs() < THRESHOLD)

    def penalty(self) -> Tensor:
        """L1 of γ in each modality's own part."""
        return SPARSITY * (self.scale.abs() * self.part).sum()

    def evidence(self, outputs: Mapping[str, ModalityOutput], present: Presence) -> Logits:
        """The modalities' opinions after the exchange, by vote of the present."""
        said = [outputs[name] for name in self.names]
        counts = torch.tensor([one.tokens.shape[1] for one in said], device=self.prior.device)
        owner = torch.arange(len(said), device=self.prior.device).repeat_interleave(counts)
        real = torch.cat([one.token_mask for one in said], dim=1)
        normal = layer_norm(torch.cat([one.tokens for one in said], dim=1), (self.width,))
        adapted = normal * self.scale[owner] + self.shift[owner]
        others, anyone = _others(self._means(adapted, real, owner), present)
        swap = self.exchanged & anyone[..., None]
        heard = torch.where(swap[:, owner], others[:, owner], adapted)
        opinions = self.opinion(self._means(self.think(heard), real, owner))
        return torch.einsum("bmc,bm->bc", opinions, shares(present, self.vote))

    def _means(self, tokens: Tokens, real: TokenMask, owner: Int[Tensor, " T"]) -> Float[Tensor, "B M D"]:
        """Mean of each modality's real tokens; zeros where there is none."""
        empty = tokens.new_zeros(len(tokens), len(self.names), self.width)
        total = empty.index_add(1, owner, tokens.masked_fill(~real[..., None], 0.0))
        count = empty[..., 0].index_add(1, owner, real.to(tokens.dtype))
        return total / count.clamp(min=1)[..., None]


def _others(means: Float[Tensor, "B M D"], present: Presence) -> tuple[Tensor, Tensor]:
    """For each modality the mean of the others that are present [B, M, D], and whether there is any [B, M]."""
    there = present.to(means.dtype)
    count = there.sum(dim=1, keepdim=True) - there
    spoken = means * there[..., None]
    return (spoken.sum(dim=1, keepdim=True) - spoken) / count.clamp(min=1)[..., None], count > 0
