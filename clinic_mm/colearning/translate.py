"""Translation between modalities inside a network: predict an absent modality's summary from those that are there.

    c_S = mean of A_j z_j over j in S        z^_m = B_m GELU(c_S)

Parameters are linear in M. Two uses, apart, so that each can be judged by itself:

`Translate` is a bridge: z^_m takes the place of an absent modality. Its translator learns to meet the true summaries of
what modality dropout took away, and pulls at nothing else (both sides are held still).
`Cycle` is a loss term: translating there and back makes the *sources* say what they know of the others; nothing of it
is deployed.

A translation is never evidence: only the fusion hears it.

Source: Pham, Liang, Manzini, Morency and Poczos, "Found in Translation: Learning Robust Joint Representations by Cyclic
Translations Between Modalities" (MCTN), AAAI 2019, arXiv 1812.07809, which translates sequences; here summaries.
"""

from collections.abc import Sequence
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu

from clinic_mm.colearning.bridge import Bridge, Carried, fill, only_present, summaries
from clinic_mm.colearning.moment import Moment
from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.shapes import Presence

WEIGHT: Final = 0.1
"""Of the cyclic translation beside the cross-entropy."""


class Translator(nn.Module):
    """Summaries of whoever is there to summaries of all."""

    def __init__(self, n_modalities: int, width: int) -> None:
        super().__init__()
        self.source = nn.ModuleList(nn.Linear(width, width) for _ in range(n_modalities))
        self.target = nn.ModuleList(nn.Linear(width, width) for _ in range(n_modalities))

    def forward(self, z: Float[Tensor, "B M D"], present: Presence) -> Float[Tensor, "B M D"]:
        """Translations into every modality; `z` is zero where a modality is absent."""
        weight = present.to(z.dtype)[..., None]
        sources = torch.stack([source(z[:, m]) for m, source in enumerate(self.source)], dim=1)
        context = gelu((weight * sources).sum(dim=1) / weight.sum(dim=1).clamp(min=1.0))
        return torch.stack([target(context) for target in self.target], dim=1)


def missed(said: Float[Tensor, "B M D"], true: Float[Tensor, "B M D"], where: Presence) -> Tensor:
    """Mean squared distance, per number, over chosen modalities; 0 where none is chosen. `true` is held still."""
    apart = (said - true.detach()).square().mean(dim=2)
    return (apart * where).sum() / where.sum().clamp(min=1)


class Translate(Bridge):
    """An absent modality's place is taken by its translation."""

    fills = "a translation of what is present"

    def __init__(self, names: Sequence[str], width: int) -> None:
        super().__init__(names, width)
        self.translator = Translator(len(self.names), width)

    def carry(self, outputs: dict[str, ModalityOutput], present: Presence) -> Carried:
        """Who is there speaks for itself; who is not is translated."""
        translated = self.translator(summaries(outputs, self.names), present)
        return fill(outputs, self.names, present, translated)

    def loss(self, moment: Moment) -> Tensor:
        """How far the translations are from what dropout took away; no gradient reaches the summaries."""
        z, from_subset = _both(moment, self.names)
        gone = moment.present & ~moment.subset
        return missed(self.translator(from_subset.detach(), moment.subset), z, gone)


class Cycle(nn.Module):
    """Translate what is left into what was dropped, and back: the sources learn by it."""

    def __init__(self, names: Sequence[str], width: int) -> None:
        super().__init__()
        self.names = tuple(names)
        self.there = Translator(len(self.names), width)
        self.back = Translator(len(self.names), width)

    def forward(self, moment: Moment) -> Tensor:
        """There and back; the true summaries are held still, so that none can make itself easy to guess."""
        z, from_subset = _both(moment, self.names)
        gone = moment.present & ~moment.subset
        there = self.there(from_subset, moment.subset)
        back = self.back(there * gone[..., None], gone)
        left = moment.subset & gone.any(dim=1, keepdim=True)
        return WEIGHT * (missed(there, z, gone) + missed(back, z, left))


def _both(moment: Moment, names: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Summaries of all that each case has, and of what dropout left."""
    z = summaries(only_present(moment.outputs, names, moment.present), names)
    return z, z * moment.subset[..., None]
