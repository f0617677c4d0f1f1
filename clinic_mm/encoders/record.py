"""The record encoder: a transformer over features, with missing cells as values of their own.

In:  [n, feature, summary], NaN where a cell is missing. Out: one token per feature.
Each feature has its own linear embedding of its cells; a missing cell adds a learnt vector instead of a number.
Source: feature tokenizer of Gorishniy et al., arXiv 2106.11959.
"""

import torch
from torch import Tensor, nn

from clinic_mm.encoders.base import Encoder

HEADS = 4
LAYERS = {"tiny": 1, "small": 2, "base": 3}
MOST_FORGOTTEN = 0.5
CLIP = 5.0
"""Standardised cells are clipped: one wild laboratory value must not drown the others."""


class RecordEncoder(Encoder):
    """Feature tokens and transformer layers."""

    centre: Tensor
    spread: Tensor

    def __init__(self, shape: tuple[int, ...], n_classes: int, size: str) -> None:
        super().__init__(shape, n_classes, size)
        self.register_buffer("centre", torch.zeros(shape))
        self.register_buffer("spread", torch.ones(shape))
        scale = (shape[1] * self.width) ** -0.5
        self.value = nn.Parameter(scale * torch.randn(*shape, self.width))
        self.missing = nn.Parameter(scale * torch.randn(*shape, self.width))
        self.feature = nn.Parameter(scale * torch.randn(shape[0], self.width))
        layer = nn.TransformerEncoderLayer(
            self.width, HEADS, 2 * self.width, dropout=0.1, batch_first=True, norm_first=True, activation="gelu"
        )
        self.layers = nn.TransformerEncoder(layer, LAYERS[size], enable_nested_tensor=False)

    @property
    def n_tokens(self) -> int:
        """Features."""
        return self.shape[0]

    def fit_input(self, x: Tensor) -> None:
        """Median and robust spread of each cell over training rows; cells never seen keep 0 and 1."""
        centre = x.nanmedian(dim=0).values
        spread = (x - centre).abs().nanmean(dim=0) * 1.25
        self.centre.copy_(centre.nan_to_num(0.0))
        self.spread.copy_(torch.where(spread > 1e-6, spread, 1.0).nan_to_num(1.0))

    def augment(self, x: Tensor) -> Tensor:
        """Forget features, each case at a rate of its own, so that gaps at any rate are familiar."""
        rate = MOST_FORGOTTEN * torch.rand(x.shape[0], 1, 1)
        return x.masked_fill(torch.rand(*x.shape[:2], 1) < rate, torch.nan)

    def encode(self, x: Tensor) -> Tensor:
        """One token per feature."""
        known = torch.isfinite(x)
        cells = torch.where(known, ((x - self.centre) / self.spread).clamp(-CLIP, CLIP), 0.0)
        embedded = torch.einsum("nfs,fsd->nfd", cells, self.value)
        absent = torch.einsum("nfs,fsd->nfd", (~known).to(cells.dtype), self.missing)
        tokens: Tensor = self.layers(embedded + absent + self.feature)
        return tokens
