"""The eye-tracking encoder: temporal filters over gaze, speed and pupil, one token for each window.

In:  [n, window, channel, sample] as `prep.eye` has them; NaN where the eye was not seen.
Out: one token per window. What is lost is zero, and said to be lost: blinks are evidence too.
"""

from typing import Final

import torch
from torch import Tensor, nn

from clinic_mm.encoders.base import Encoder

FILTERS: Final = {"tiny": 24, "small": 48, "base": 96}
LOST: Final = 0.1
"""Share of windows that training forgets."""


class EyeEncoder(Encoder):
    """Shared temporal convolutions; mean and maximum over each window."""

    def __init__(self, shape: tuple[int, ...], n_classes: int, size: str) -> None:
        super().__init__(shape, n_classes, size)
        filters = FILTERS[size]
        self.filters = nn.Sequential(
            nn.Conv1d(2 * shape[1], filters, 9, stride=2, padding=4),
            nn.GroupNorm(4, filters),
            nn.GELU(),
            nn.Conv1d(filters, filters, 7, stride=2, padding=3),
            nn.GroupNorm(4, filters),
            nn.GELU(),
            nn.Conv1d(filters, filters, 5, stride=2, padding=2),
            nn.GELU(),
        )
        self.token = nn.Linear(2 * filters, self.width)

    @property
    def n_tokens(self) -> int:
        """Windows."""
        return self.shape[0]

    def augment(self, x: Tensor) -> Tensor:
        """Lose some windows, never all, and turn some recordings left to right."""
        lost = torch.rand(*x.shape[:2], 1, 1) < LOST
        there = torch.isfinite(x).flatten(2).any(dim=2)[..., None, None]
        left = (there & ~lost).any(dim=1, keepdim=True)
        turned = torch.ones(x.shape[0], 1, x.shape[2], 1)
        turned[:, :, 0] = torch.where(torch.rand(x.shape[0], 1, 1) < 0.5, -1.0, 1.0)
        return (x * turned).masked_fill(lost & left, torch.nan)

    def encode(self, x: Tensor) -> Tensor:
        """One token per window."""
        there = torch.isfinite(x)
        both = torch.cat([torch.where(there, x, 0.0), (~there).to(x.dtype)], dim=2)
        maps = self.filters(both.flatten(0, 1))
        tokens: Tensor = self.token(torch.cat([maps.mean(dim=2), maps.amax(dim=2)], dim=1))
        return tokens.reshape(*x.shape[:2], -1)
