"""Attention-based recurrent fusion: a GRU reads the evidence in the order in which it was acquired.

In:  summaries and times of the present modalities. Out: what they add to the log prior. One modality is one step,

    h_k = GRU(h_{k-1}, norm(z_k) + whose_k + when_k)
    alpha = softmax over k of v' tanh(W h_k);    evidence = head(sum over k of alpha_k h_k)

Order: hours before the decision, the oldest first. An absent modality is no step at all. A time that is not known
counts as the decision's own, so it is read last; steps of the same time stand in the order of the task's modalities. A
modality of several times is a step at its latest.

Source: GRU of Cho et al. 2014, arXiv 1406.1078; attention over states of Bahdanau et al. 2014, arXiv 1409.0473.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.base import Fusion
from clinic_mm.fusion.tokens import HOURS_UNIT
from clinic_mm.shapes import Logits, Presence


class Recurrent(Fusion):
    """A GRU over the steps, attention over its states, and a head."""

    def __init__(self, names: Sequence[str], width: int, prior: Tensor) -> None:
        super().__init__(names, width, prior)
        self.whose = nn.Parameter(0.1 * torch.randn(len(self.names), width))
        self.when = nn.Linear(1, width)
        self.norm = nn.LayerNorm(width)
        self.gru = nn.GRU(width, width, batch_first=True)
        self.attend = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1, bias=False))
        self.head = nn.Linear(width, len(prior))

    def evidence(self, outputs: Mapping[str, ModalityOutput], present: Presence) -> Logits:
        """What the GRU remembers at the steps that attention picks."""
        time_h = torch.stack([_latest(outputs[name]) for name in self.names], dim=1)
        said = self.norm(torch.stack([outputs[name].summary for name in self.names], dim=1))
        steps = said + self.whose + self.when((time_h / HOURS_UNIT).abs().log1p()[..., None])
        order = reading_order(time_h, present)
        states, _ = self.gru(steps.take_along_dim(order[..., None], dim=1))
        # Absent steps stand after all others: no state before them has seen them, and attention gives them nothing.
        read = present.take_along_dim(order, dim=1)
        share = self.attend(states).squeeze(2).masked_fill(~read, -torch.inf).softmax(dim=1)
        word: Tensor = self.head((share[..., None] * states).sum(dim=1))
        return word


def reading_order(time_h: Float[Tensor, "B M"], present: Presence) -> Int[Tensor, "B M"]:
    """Columns in the order of reading: the present from the oldest to the latest, then the absent."""
    return time_h.masked_fill(~present, -torch.inf).argsort(dim=1, descending=True, stable=True)


def _latest(said: ModalityOutput) -> Float[Tensor, " B"]:
    """Hours of the latest real token before the decision; 0 where there is none or it is not known."""
    hours = said.time_h.nan_to_num(0.0).masked_fill(~said.token_mask, torch.inf).amin(dim=1)
    return hours.masked_fill(hours.isinf(), 0.0)
