"""What every bridge is: a module between what modalities say and how they are joined, deployed with the network.

In:  outputs of all modalities and who is present [B, M]. Out: outputs and presence for the fusion, and for it alone.

What stands in an absent row is taken out here, once, before any bridge looks. A bridge may fill an absent modality's
place (a learned token, a mean, a translation): for the fusion the place is then taken, for everyone else (the pattern,
the prediction set, the explanation) the modality is as absent as before. Where nobody is present nothing is filled.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from clinic_mm.colearning.moment import Moment
from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.shapes import Presence

Carried = tuple[dict[str, ModalityOutput], Presence]


class Bridge(nn.Module, ABC):
    """Base of all bridges. `carry` is handed outputs that are zero wherever their modality is absent.

    `fills` says in words what takes the place of an absent modality, for the notice that stands beside an answer.
    """

    fills: ClassVar[str] = ""

    def __init__(self, names: Sequence[str], width: int) -> None:
        super().__init__()
        self.names, self.width = tuple(names), width

    @abstractmethod
    def carry(self, outputs: dict[str, ModalityOutput], present: Presence) -> Carried:
        """What the fusion hears instead."""

    def forward(self, outputs: Mapping[str, ModalityOutput], present: Presence) -> Carried:
        """What the fusion hears instead, for any subset."""
        return self.carry(only_present(outputs, self.names, present), present)

    def loss(self, moment: Moment) -> Tensor:
        """What training adds to the loss so that the bridge learns its own task; most have none."""
        return moment.logits.new_zeros(())


def only_present(
    outputs: Mapping[str, ModalityOutput], names: Sequence[str], present: Presence
) -> dict[str, ModalityOutput]:
    """The same, zero wherever a modality is absent or a token is not real: a weight of 0 would let a NaN through."""
    return {name: _real(outputs[name], present[:, column]) for column, name in enumerate(names)}


def _real(said: ModalityOutput, here: Tensor) -> ModalityOutput:
    real = said.token_mask & here[:, None]
    return ModalityOutput(
        said.tokens.masked_fill(~real[..., None], 0.0),
        real,
        said.time_h.masked_fill(~real, 0.0),
        said.summary.masked_fill(~here[:, None], 0.0),
        said.logits.masked_fill(~here[:, None], 0.0),
    )


def summaries(outputs: Mapping[str, ModalityOutput], names: Sequence[str]) -> Float[Tensor, "B M D"]:
    """Summaries of all modalities, in the order of the columns."""
    return torch.stack([outputs[name].summary for name in names], dim=1)


def gaps(present: Presence) -> Presence:
    """What may be filled: the absent modalities of cases that have any."""
    return ~present & present.any(dim=1, keepdim=True)


def fill(
    outputs: Mapping[str, ModalityOutput], names: Sequence[str], present: Presence, z: Float[Tensor, "B M D"]
) -> Carried:
    """Put a vector in the place of each absent modality, as its summary and its one token.

    Its opinion becomes the mean opinion of who is present: a filled place has none of its own.
    """
    gap = gaps(present)
    weight = present.to(z.dtype)[..., None]
    opinions = torch.stack([outputs[name].logits for name in names], dim=1)
    opinion = (weight * opinions).sum(dim=1) / weight.sum(dim=1).clamp(min=1.0)
    carried = {
        name: _filled(outputs[name], gap[:, column, None], z[:, column], opinion) for column, name in enumerate(names)
    }
    return carried, present | gap


def _filled(said: ModalityOutput, hole: Tensor, vector: Tensor, opinion: Tensor) -> ModalityOutput:
    first = torch.where(hole, vector, said.tokens[:, 0])
    return ModalityOutput(
        torch.cat([first[:, None], said.tokens[:, 1:]], dim=1),
        torch.cat([said.token_mask[:, :1] | hole, said.token_mask[:, 1:]], dim=1),
        said.time_h,
        torch.where(hole, vector, said.summary),
        torch.where(hole, opinion, said.logits),
    )
