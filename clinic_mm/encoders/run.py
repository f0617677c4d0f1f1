"""Run a fitted encoder over many present rows, in batches, without gradients.

In:  x [n, …] of present rows as numpy. Out: Spoken: tokens, summary, logits, on the CPU.

This is the way of training and out-of-fold work; deployed networks are run by `encoders.runtime`.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray as Array
from torch import Tensor

from clinic_mm.encoders.base import Encoder, ModalityOutput

BATCH = 64


@dataclass(frozen=True, slots=True)
class Spoken:
    """What an encoder said of the rows where its modality is present."""

    tokens: Float[Tensor, "n T D"]
    summary: Float[Tensor, "n D"]
    logits: Float[Tensor, "n C"]

    def output(self, row: Array, time_h: Float[Array, " B"]) -> ModalityOutput:
        """A batch as fusion takes it: `row` [B] is each case's row here, -1 where absent."""
        present = torch.from_numpy(row >= 0)
        index = torch.from_numpy(np.maximum(row, 0))
        spread = [_spread(part, index, present) for part in (self.tokens, self.summary, self.logits)]
        mask = present[:, None].expand(-1, self.tokens.shape[1])
        when = torch.from_numpy(np.where(row >= 0, np.nan_to_num(time_h), 0.0).astype(np.float32))
        return ModalityOutput(spread[0], mask, when[:, None].expand(-1, self.tokens.shape[1]), spread[1], spread[2])


def _spread(part: Tensor, index: Tensor, present: Tensor) -> Tensor:
    if not len(part):
        return part.new_zeros(len(index), *part.shape[1:])
    shape = (-1, *[1] * (part.ndim - 1))
    return torch.where(present.view(shape), part[index], 0.0)


@torch.inference_mode()
def run_encoder(encoder: Encoder, x: Float[Array, "n ..."]) -> Spoken:
    """Tokens, summaries and logits of present rows, by PyTorch on the CPU: the way of training."""
    encoder.eval()
    if not len(x):
        return nothing_said(encoder)
    said = [
        encoder.speak(torch.from_numpy(x[start : start + BATCH]).to(torch.float32)) for start in range(0, len(x), BATCH)
    ]
    tokens, summary, logits = (torch.cat([part[k] for part in said]) for k in range(3))
    return Spoken(tokens.clone(), summary.clone(), logits.clone())


def nothing_said(encoder: Encoder) -> Spoken:
    """What an encoder says of no rows."""
    shapes = ((0, encoder.n_tokens, encoder.width), (0, encoder.width), (0, encoder.n_classes))
    return Spoken(*(torch.zeros(shape) for shape in shapes))
