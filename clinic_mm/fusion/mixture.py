"""Mixture of experts routed by availability: who is present decides which small networks are asked, and how far.

In:  summaries of the present modalities, and the pattern. Out: what they add to the log prior.

    s_m = norm(z_m) + whose_m, or missing_m where absent;    h = W [s_1; ...; s_M]
    g = softmax(R [a; h]),    y = h + sum over k of g_k E_k(h),    evidence = head(y)

Four experts, a soft gate: with so few, asking only the top two would save little and leave experts without a gradient.
A missing modality has one embedding, where the paper keeps one for each pattern and modality (a bank of 2^M): the
pattern reaches the router as M flags, so parameters are linear in M. h passes beside the experts (the residual path).

Source: Yun et al. 2024, arXiv 2410.08245; balance of Shazeer et al. 2017, arXiv 1701.06538, eq. 6.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.base import Fusion
from clinic_mm.shapes import Logits, Presence

EXPERTS: Final = 4
BALANCE: Final = 0.01


class Mixture(Fusion):
    """Slots, a router that sees the pattern, experts beside a residual path, and a head."""

    reads_tokens = False

    def __init__(self, names: Sequence[str], width: int, prior: Tensor) -> None:
        super().__init__(names, width, prior)
        n = len(self.names)
        self.norm = nn.LayerNorm(width)
        self.whose, self.missing = (nn.Parameter(0.1 * torch.randn(n, width)) for _ in range(2))
        self.joint = nn.Linear(n * width, width)
        self.router = nn.Sequential(nn.Linear(n + width, width), nn.GELU(), nn.Linear(width, EXPERTS))
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width)) for _ in range(EXPERTS)
        )
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, len(prior)))
        self._shares: Tensor | None = None

    def evidence(self, outputs: Mapping[str, ModalityOutput], present: Presence) -> Logits:
        """What the experts make of the slots, beside the slots themselves."""
        said = self.norm(torch.stack([outputs[name].summary for name in self.names], dim=1)) + self.whose
        slots = torch.where(present[..., None], said, self.missing)
        h = self.joint(slots.flatten(1))
        shares = self.router(torch.cat([present.to(h.dtype), h], dim=1)).softmax(dim=1)
        asked = torch.stack([expert(h) for expert in self.experts], dim=1)
        self._shares = shares if self.training else None
        word: Tensor = self.head(h + (shares[..., None] * asked).sum(dim=1))
        return word

    def penalty(self) -> Tensor:
        """Squared coefficient of variation of the experts' shares of the last batch: 0 where all are asked alike."""
        if self._shares is None:
            return self.prior.new_zeros(())
        importance = self._shares.sum(dim=0)
        return BALANCE * importance.var(correction=0) / importance.mean().square()
