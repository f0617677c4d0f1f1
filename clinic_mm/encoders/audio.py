"""The audio encoder: a small two-dimensional network over the log-mel spectrogram, one token per window.

In:  [n, window, mel, frame] in units of 20 dB around the recording's mean. Out: one token per window.
Time is pooled (mean and maximum), frequency is not: a pitch tells, a moment does not.
Source: Hershey et al., "CNN architectures for large-scale audio classification", arXiv 1609.09430; masks as in
SpecAugment (Park et al., arXiv 1904.08779).
"""

from typing import Final

import torch
from torch import Tensor, nn

from clinic_mm.encoders.base import Encoder

PLANES: Final = {"tiny": 16, "small": 24, "base": 32}
MASKED: Final = 0.2
"""Largest share of the mel bands that a training row loses."""
NOISE: Final = 0.02


class AudioEncoder(Encoder):
    """Three strided convolutions, frequency kept, time pooled."""

    def __init__(self, shape: tuple[int, ...], n_classes: int, size: str) -> None:
        super().__init__(shape, n_classes, size)
        planes = PLANES[size]
        self.trunk = nn.Sequential(
            *_block(1, planes),
            *_block(planes, planes),
            *_block(planes, 2 * planes),
        )
        bands = shape[1]
        for _ in range(3):
            bands = (bands + 1) // 2
        self.join = nn.Linear(2 * 2 * planes * bands, self.width)

    @property
    def n_tokens(self) -> int:
        """Windows."""
        return self.shape[0]

    def augment(self, x: Tensor) -> Tensor:
        """Turn each row in time, silence a few neighbouring mel bands to their mean, add a little noise."""
        n, _, bands, frames = x.shape
        moved = torch.roll(x, int(torch.randint(frames, (1,))), dims=3)
        width = (torch.rand(n) * MASKED * bands).long()
        first = (torch.rand(n) * (bands - width)).long()
        band = torch.arange(bands)
        masked = (band >= first[:, None]) & (band < (first + width)[:, None])
        kept = torch.where(masked[:, None, :, None], moved.mean(dim=(2, 3), keepdim=True), moved)
        return kept + NOISE * torch.randn_like(kept)

    def encode(self, x: Tensor) -> Tensor:
        """One token per window."""
        maps = self.trunk(x.flatten(0, 1)[:, None])
        pooled = torch.cat([maps.mean(dim=3), maps.amax(dim=3)], dim=1)
        tokens: Tensor = self.join(pooled.flatten(1))
        return tokens.view(*x.shape[:2], self.width)


def _block(planes_in: int, planes: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(planes_in, planes, 3, stride=2, padding=1), nn.GroupNorm(4, planes), nn.ReLU()
