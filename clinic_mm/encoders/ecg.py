"""The ECG encoder: temporal filters over all leads together, one token for each second or two.

In:  [n, lead, sample] in millivolts; a missing lead, and what lies behind the end of a recording, is NaN.
Out: one token per stretch.
Amplitude is evidence here, so the input is not normalised.
Source: residual 1D convolutions over 12 leads as in Ribeiro et al., doi:10.1038/s41467-020-15432-4, made small.
"""

from typing import Final

import torch
from torch import Tensor, nn

from clinic_mm.encoders.base import Encoder

FILTERS: Final = {"tiny": 24, "small": 48, "base": 96}
TOKENS: Final = 5
STRIDES: Final = (4, 4, 2)
DROP: Final = 0.1
SPREAD: Final = 0.1


class _Block(nn.Module):
    """Two convolutions beside a shorter way."""

    def __init__(self, inside: int, filters: int, stride: int) -> None:
        super().__init__()
        self.way = nn.Sequential(
            nn.Conv1d(inside, filters, 9, stride=stride, padding=4),
            nn.GroupNorm(4, filters),
            nn.GELU(),
            nn.Conv1d(filters, filters, 5, padding=2),
        )
        self.short = nn.Conv1d(inside, filters, 1, stride=stride)
        self.after = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        """[n, channel, sample] to [n, filter, sample / stride]."""
        joined: Tensor = self.after(self.way(x) + self.short(x))
        return joined


class EcgEncoder(Encoder):
    """Residual convolutions; mean and maximum of each stretch."""

    def __init__(self, shape: tuple[int, ...], n_classes: int, size: str) -> None:
        super().__init__(shape, n_classes, size)
        filters = FILTERS[size]
        widths = (2 * shape[0], *(filters for _ in STRIDES))
        self.blocks = nn.Sequential(
            *(_Block(a, b, stride) for a, b, stride in zip(widths, widths[1:], STRIDES, strict=False))
        )
        self.token = nn.Linear(2 * filters, self.width)
        self.place = nn.Parameter(0.02 * torch.randn(TOKENS, self.width))

    @property
    def n_tokens(self) -> int:
        """Stretches."""
        return TOKENS

    def augment(self, x: Tensor) -> Tensor:
        """Lose some leads, never all, and make all of them a little larger or smaller, as electrodes do."""
        lost = torch.rand(*x.shape[:2], 1) < DROP
        left = (torch.isfinite(x).any(dim=2, keepdim=True) & ~lost).any(dim=1, keepdim=True)
        gain = 1 + SPREAD * (2 * torch.rand(x.shape[0], 1, 1) - 1)
        return (x * gain).masked_fill(lost & left, torch.nan)

    def encode(self, x: Tensor) -> Tensor:
        """One token per stretch; what is missing is zero, and said to be missing."""
        there = torch.isfinite(x)
        maps = self.blocks(torch.cat([torch.where(there, x, 0.0), (~there).to(x.dtype)], dim=1))
        mean = nn.functional.adaptive_avg_pool1d(maps, TOKENS)
        largest = nn.functional.adaptive_max_pool1d(maps, TOKENS)
        tokens: Tensor = self.token(torch.cat([mean, largest], dim=1).transpose(1, 2)) + self.place
        return tokens
