"""Tensor fusion: every product of numbers of different modalities, of all orders, as one long vector.

    logits = f(⊗_m [a_m h_m; 1]),  h_m = P_m z_m + q_m in R^d

An absent modality is [0, ..., 0, 1], which keeps all products among the others. The tensor has (d + 1)^M numbers a
case: summaries are first projected to the largest d for which it stays below COMFORTABLE, and never below FEWEST; a
size beyond LARGEST is refused before anything is allocated.

Source: Zadeh et al. 2017, arXiv 1707.07250.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.errors import TaskError
from clinic_mm.fusion.algebra import OwnLinear, head, only, summaries
from clinic_mm.fusion.base import Fusion
from clinic_mm.shapes import Logits, Presence

COMFORTABLE: Final = 2**11
"""Numbers a case: d is 31 (WIDEST) for one modality and for two, then 11, 5, 3; six have 4,096 numbers, at FEWEST."""
LARGEST: Final = 2**16
"""Numbers a case: 64 MB for a batch of 256. Eight modalities still fit, nine do not."""
WIDEST: Final = 31
FEWEST: Final = 3
HIDDEN: Final = 32
FIRST_SCALE: Final = 0.3
"""Spread of the narrow summaries before training: products of high order start small."""


class TensorFusion(Fusion):
    """One network over the tensor of all orders."""

    reads_tokens = False

    def __init__(self, names: Sequence[str], width: int, prior: Tensor, narrow: int | None = None) -> None:
        """Make it.

        Args:
            names: Modalities.
            width: Width of the summaries.
            prior: Class prior.
            narrow: Width d that summaries are projected to; by default chosen from the number of modalities.

        Raises:
            TaskError: If (d + 1)^M is more than LARGEST.
        """
        super().__init__(names, width, prior)
        n = len(self.names)
        self.narrow = chosen_width(n, width) if narrow is None else narrow
        size = checked_size(self.narrow, n)
        self.project = OwnLinear(n, width, self.narrow, scale=FIRST_SCALE)
        self.head = head(size, HIDDEN, len(prior))

    def evidence(self, outputs: Mapping[str, ModalityOutput], present: Presence) -> Logits:
        """The network over the tensor."""
        h = only(present, self.project(summaries(outputs, self.names)))
        factors = torch.cat([h, h.new_ones(*h.shape[:2], 1)], dim=2)
        tensor = factors[:, 0]
        for column in range(1, len(self.names)):
            tensor = (tensor[:, :, None] * factors[:, column, None]).flatten(1)
        word: Tensor = self.head(tensor)
        return word


def chosen_width(n_modalities: int, width: int) -> int:
    """The largest d with (d + 1)^M within COMFORTABLE, between FEWEST and WIDEST, at most the width."""
    fitting = (d for d in range(min(WIDEST, width), FEWEST, -1) if (d + 1) ** n_modalities <= COMFORTABLE)
    return next(fitting, min(FEWEST, width))


def checked_size(narrow: int, n_modalities: int) -> int:
    """Numbers of the tensor of one case.

    Raises:
        TaskError: If there are more than LARGEST, with how many there would be.
    """
    size: int = (narrow + 1) ** n_modalities
    if size > LARGEST:
        what = (
            f"Tensor fusion of {n_modalities} modalities needs ({narrow} + 1)^{n_modalities} = {size:,} numbers a case"
        )
        mend = "Use low_rank_tensor, which is linear in the number of modalities, or fewer modalities"
        raise TaskError(f"{what}; at most {LARGEST:,} fit", "fusion", mend)
    return size
