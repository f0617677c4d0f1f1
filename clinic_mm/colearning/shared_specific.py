"""Shared and specific features: what all modalities can say, and what only one can; the shared part fills a gap.

    r_m = f(z_m), s_m = g_m(z_m)      h_m = r_m + W [r_m; s_m]                      m in S
                                      h_m = mean of r_j over j in S                 m not in S
    loss = 0.1 * mean |r_i - r_j| over pairs present + 0.02 * CE(which modality, d(s_m))

One f for all modalities, one g_m each; each token goes the way of the summary. The public code fills a gap with the
first shared feature at hand; the paper takes the mean of all that are present, and so do we.

Source: Wang, Chen, Ma, Avery, Hull and Carneiro, "Multi-modal Learning with Missing Modality via Shared-Specific
Feature Modelling" (ShaSpec), CVPR 2023, arXiv 2307.14126. The L1 alignment and both weights are the authors'.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from clinic_mm.colearning.bridge import Bridge, Carried, fill, only_present, summaries
from clinic_mm.colearning.moment import Moment
from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.shapes import Presence

ALIGNMENT: Final = 0.1
DOMAIN: Final = 0.02


class SharedSpecific(Bridge):
    """A shared encoder, a specific one per modality, and a residual that joins both."""

    fills = "the mean of what all modalities share"

    def __init__(self, names: Sequence[str], width: int) -> None:
        super().__init__(names, width)
        self.shared = nn.Sequential(nn.Linear(width, width), nn.GELU())
        self.specific = nn.ModuleList(nn.Sequential(nn.Linear(width, width), nn.GELU()) for _ in self.names)
        self.project = nn.Linear(2 * width, width)
        self.whose = nn.Linear(width, len(self.names))

    def carry(self, outputs: dict[str, ModalityOutput], present: Presence) -> Carried:
        """Fused features of who is there; the mean shared feature for who is not."""
        fused = {name: self._fused(outputs[name], column) for column, name in enumerate(self.names)}
        mean = mean_present(self.shared(summaries(outputs, self.names)), present)
        filler = mean[:, None].expand(-1, len(self.names), -1)
        # What the maps make of the zeros of an absent row is no evidence either.
        return fill(only_present(fused, self.names, present), self.names, present, filler)

    def _fused(self, said: ModalityOutput, column: int) -> ModalityOutput:
        tokens, summary = (self._residual(part, column) for part in (said.tokens, said.summary))
        return ModalityOutput(tokens, said.token_mask, said.time_h, summary, said.logits)

    def _residual(self, part: Tensor, column: int) -> Tensor:
        shared = self.shared(part)
        joined: Tensor = shared + self.project(torch.cat([shared, self.specific[column](part)], dim=-1))
        return joined

    def loss(self, moment: Moment) -> Tensor:
        """Shared features alike, specific features told apart."""
        z = summaries(only_present(moment.outputs, self.names, moment.present), self.names)
        own = torch.stack([part(z[:, column]) for column, part in enumerate(self.specific)], dim=1)
        return ALIGNMENT * alignment(self.shared(z), moment.present) + DOMAIN * self._told_apart(own, moment.present)

    def _told_apart(self, own: Float[Tensor, "B M D"], present: Presence) -> Tensor:
        if not present.any():
            return own.new_zeros(())
        return cross_entropy(self.whose(own[present]), present.nonzero()[:, 1])


def mean_present(shared: Float[Tensor, "B M D"], present: Presence) -> Float[Tensor, "B D"]:
    """Mean over the modalities that are there; zeros where none is."""
    weight = present.to(shared.dtype)[..., None]
    return (weight * shared).sum(dim=1) / weight.sum(dim=1).clamp(min=1.0)


def alignment(shared: Float[Tensor, "B M D"], present: Presence) -> Tensor:
    """Mean absolute difference of the shared features of all pairs that a case has both of; 0 without a pair."""
    pairs = list(combinations(range(present.shape[1]), 2))
    if not pairs:
        return shared.new_zeros(())
    one, other = (torch.tensor(side) for side in zip(*pairs, strict=True))
    both = present[:, one] & present[:, other]
    apart = (shared[:, one] - shared[:, other]).abs().mean(dim=2)
    return (apart * both).sum() / both.sum().clamp(min=1)
