"""A learned token for each absent modality: the fusion always sees M places, and learns what an empty one means.

    z_m <- t_m   for every m not in S

Parameters are linear in M; a token says nothing of the case, only that a modality is not there.

Source: the Missing Modality Token of Ramazanova, Pardo, Alwassel and Ghanem, "Exploring Missing Modality in Multimodal
Egocentric Datasets", 2024, arXiv 2401.11470.
"""

from collections.abc import Sequence

import torch
from torch import nn

from clinic_mm.colearning.bridge import Bridge, Carried, fill
from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.shapes import Presence

FIRST: float = 0.1
"""Spread of the first tokens."""


class MissingTokens(Bridge):
    """One token [D] per modality."""

    fills = "a learned token"

    def __init__(self, names: Sequence[str], width: int) -> None:
        super().__init__(names, width)
        self.token = nn.Parameter(FIRST * torch.randn(len(self.names), width))

    def carry(self, outputs: dict[str, ModalityOutput], present: Presence) -> Carried:
        """Every absent modality's place is taken by its token."""
        return fill(outputs, self.names, present, self.token.expand(len(present), -1, -1))
