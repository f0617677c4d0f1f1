"""Hybrid: a late pool of the modalities' own opinions, and behind a gate what their tokens say together.

In:  opinions and tokens of the present modalities. Out: what they add to the log prior.

    evidence = sum over present m of w_m t_|S| (log p_m - log prior) + gate * joint(tokens)

w_m = exp(a_m) and t_s = exp(b_s) > 0; they start at 1 and 1/sqrt s, as the log-pool of `fusion.pool` does. The joint
part is the gated residual of `fusion.bottleneck`. Here everything is learnt at once, by gradient; the default model
fits the pool first, on out-of-fold opinions, and keeps the residual only where it pays.

Source: late and early fusion combined, Atrey et al. 2010, doi:10.1007/s00530-010-0182-0; pool of Genest & Zidek 1986,
doi:10.1214/ss/1177013825.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Int
from torch import Tensor, nn

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.base import Fusion
from clinic_mm.fusion.bottleneck import Bottleneck
from clinic_mm.shapes import Logits, Presence


class Hybrid(Fusion):
    """Pool weights and a gated joint part."""

    reads_tokens = False  # of what `answers` takes for the late part; the joint part takes its tokens itself

    def __init__(self, names: Sequence[str], width: int, prior: Tensor) -> None:
        super().__init__(names, width, prior)
        n = len(self.names)
        self.trust = nn.Parameter(torch.zeros(n))
        self.size = nn.Parameter(-0.5 * torch.arange(1, n + 1).log())
        self.joint = Bottleneck(names, width, prior)

    def evidence(self, outputs: Mapping[str, ModalityOutput], present: Presence) -> Logits:
        """Late and joint evidence."""
        return self.late(outputs, present) + self.joint.evidence(outputs, present)

    def answers(self, outputs: Mapping[str, ModalityOutput], present: Presence, case: Int[Tensor, " B"]) -> Logits:
        """The same, the tokens of each case read once."""
        return self.late(self.real(outputs, present, case), present) + self.joint.answers(outputs, present, case)

    def late(self, outputs: Mapping[str, ModalityOutput], present: Presence) -> Logits:
        """Weighted log ratios of the opinions to the prior."""
        opinions = torch.stack([outputs[name].logits.log_softmax(dim=1) for name in self.names], dim=1)
        weights = (self.trust + self.size[present.sum(dim=1) - 1, None]).exp() * present
        return (weights[..., None] * (opinions - self.prior)).sum(dim=1)
