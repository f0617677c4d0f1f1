"""Every encoder of the table at its tiniest, rows for it, and what modalities might say to a fusion."""

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from clinic_mm.encoders.base import Encoder, ModalityOutput, make_encoder
from clinic_mm.modalities import table
from clinic_mm.prep.base import make_prep
from tests import made

ENCODERS = sorted(table())
"""A row of the table without a tiny recipe in `made.TINY` fails here, on purpose."""
JUNK = (0.0, float("nan"), 1e9)
WIDTH, TOKENS, CLASSES = 16, 3, 3


def encoder_of(kind: str, seed: int = 0, n_classes: int = CLASSES) -> Encoder:
    torch.manual_seed(seed)
    return make_encoder(kind, make_prep(kind, made.TINY[kind]).shape, n_classes, "tiny").eval()


def rows_of(kind: str, n: int, seed: int = 0) -> Tensor:
    """Random rows in the encoder's own range, with the gaps that its modality may have."""
    torch.manual_seed(seed)
    x = torch.rand(n, *make_prep(kind, made.TINY[kind]).shape)
    if kind == "record":
        x[torch.rand_like(x) < 0.3] = torch.nan
    if kind == "eeg":
        x[:, :, 5] = torch.nan
    if kind == "ecg":
        x[:, 4] = torch.nan
    if kind == "eye":
        x[:, :, :, 7:19] = torch.nan
    return x


def outputs_of(names: Sequence[str], n: int, seed: int = 0) -> dict[str, ModalityOutput]:
    """What encoders say, at random; the last token of each modality is not real."""
    torch.manual_seed(seed)
    mask = torch.ones(n, TOKENS, dtype=torch.bool)
    mask[:, -1] = False
    return {
        name: ModalityOutput(
            torch.randn(n, TOKENS, WIDTH),
            mask,
            10 * torch.rand(n, TOKENS),
            torch.randn(n, WIDTH),
            torch.randn(n, CLASSES),
        )
        for name in names
    }


def filled(output: ModalityOutput, hole: Tensor, junk: float) -> ModalityOutput:
    """The same with junk in the rows `hole`."""
    parts = (output.tokens, output.time_h, output.summary, output.logits)
    tokens, time_h, summary, logits = (part.masked_fill(hole.view(-1, *[1] * (part.ndim - 1)), junk) for part in parts)
    return ModalityOutput(tokens, output.token_mask, time_h, summary, logits)


def patterns(n_modalities: int) -> Tensor:
    """All subsets, the empty one first."""
    return torch.tensor(list(product([False, True], repeat=n_modalities)))
