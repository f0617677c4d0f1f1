"""The EEG encoder: the same temporal filters on every channel, then channels joined, one token per window.

In:  [n, window, channel, sample] in units of 50 microvolts; a missing channel is NaN and is left out of the joining.
Out: one token per window.
Amplitude is evidence here, so the input is not normalised.
Source: temporal-then-spatial filtering as in EEGNet (Lawhern et al., doi:10.1088/1741-2552/aace8c), channels pooled.
"""

from typing import Final

import torch
from torch import Tensor, nn

from clinic_mm.encoders.base import Encoder

FILTERS: Final = {"tiny": 16, "small": 32, "base": 64}
DROP: Final = 0.1


class EegEncoder(Encoder):
    """Shared temporal convolutions, mean and maximum over time, attention-free joining of channels."""

    def __init__(self, shape: tuple[int, ...], n_classes: int, size: str) -> None:
        super().__init__(shape, n_classes, size)
        filters = FILTERS[size]
        self.filters = nn.Sequential(
            nn.Conv1d(1, filters, 32, stride=8, padding=12),
            nn.ReLU(),
            nn.GroupNorm(4, filters),
            nn.Conv1d(filters, filters, 5, stride=2, padding=2),
            nn.ReLU(),
        )
        self.place = nn.Parameter(0.02 * torch.randn(shape[1], 3 * filters))
        self.amplitude = nn.Linear(2, filters)
        self.channel = nn.Sequential(nn.Linear(3 * filters, self.width), nn.GELU())
        self.join = nn.Linear(2 * self.width, self.width)

    @property
    def n_tokens(self) -> int:
        """Windows."""
        return self.shape[0]

    def augment(self, x: Tensor) -> Tensor:
        """Lose some channels, as electrodes do, and turn the polarity of some recordings."""
        lost = torch.rand(x.shape[0], 1, x.shape[2], 1) < DROP
        sign = torch.where(torch.rand(x.shape[0], 1, 1, 1) < 0.5, -1.0, 1.0)
        there = torch.isfinite(x).all(dim=3, keepdim=True).any(dim=1, keepdim=True)
        # Never all channels: a recording that would lose all that it has keeps them.
        left = (there & ~lost).any(dim=2, keepdim=True)
        return (x * sign).masked_fill(lost & left, torch.nan)

    def encode(self, x: Tensor) -> Tensor:
        """One token per window, from the channels that are there."""
        there = torch.isfinite(x).all(dim=-1)
        # A graph made for another runtime has fixed shapes: there what is missing is heard as zeros, then left out.
        spread = self._all(x, there) if torch.compiler.is_exporting() else self._present(x, there)
        count = there.sum(dim=2, keepdim=True).clamp(min=1)
        largest = spread.masked_fill(~there[..., None], -torch.inf).amax(dim=2)
        # A window without any channel has nothing to say: its token is what zeros give.
        largest = torch.where(there.any(dim=2, keepdim=True), largest, 0.0)
        tokens: Tensor = self.join(torch.cat([spread.sum(dim=2) / count, largest], dim=2))
        return tokens

    def _present(self, x: Tensor, there: Tensor) -> Tensor:
        said = self._said(x[there], self.place.expand(*there.shape, -1)[there])
        spread = said.new_zeros(*there.shape, self.width)
        spread[there] = said
        return spread

    def _all(self, x: Tensor, there: Tensor) -> Tensor:
        rows = torch.where(there[..., None], x, 0.0).flatten(0, 2)
        said = self._said(rows, self.place.expand(*there.shape, -1).flatten(0, 2))
        return torch.where(there[..., None], said.view(*there.shape, -1), 0.0)

    def _said(self, rows: Tensor, places: Tensor) -> Tensor:
        """What traces [k, sample] at places [k, feature] say, [k, D]."""
        maps = self.filters(rows[:, None])
        size = torch.log1p(torch.stack([rows.abs().amax(dim=1), rows.std(dim=1)], dim=1))
        said: Tensor = self.channel(
            torch.cat([maps.mean(dim=2), maps.amax(dim=2), self.amplitude(size)], dim=1) + places
        )
        return said
