"""Distillation full -> subset: what the network says of all that a case has teaches what it says of a part.

    loss = T^2 * KL( softmax(v(P) / T) || softmax(v(S) / T) )    over cases where S is less than P

Teacher and student are one network: its answer with everything is held still. A case without a label teaches too.

Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015, arXiv 1503.02531; from many
modalities to one: Hu, Maillard, Zhang and others, "Knowledge distillation from multi-modal to mono-modal segmentation
networks" (KD-Net), MICCAI 2020, arXiv 2106.09564.
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div

from clinic_mm.colearning.moment import Moment

TEMPERATURE: Final = 2.0


class Distill(nn.Module):
    """A loss term without parameters."""

    def __init__(self, names: Sequence[str], width: int) -> None:
        super().__init__()
        del names, width

    def forward(self, moment: Moment) -> Tensor:
        """Mean over the cases from which dropout took something."""
        less = (moment.present & ~moment.subset).any(dim=1)
        if not less.any():
            return moment.logits.new_zeros(())
        with torch.no_grad():
            teacher = (moment.answer(moment.outputs, moment.present)[less] / TEMPERATURE).log_softmax(dim=1)
        student = (moment.logits[less] / TEMPERATURE).log_softmax(dim=1)
        return TEMPERATURE**2 * kl_div(student, teacher, reduction="batchmean", log_target=True)
