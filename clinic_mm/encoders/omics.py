"""The omics encoder: a small network over standardised components, with much dropout, one token.

In:  [n, component] of unit spread. Out: one token.
With far more features than patients, what a network could learn beyond the components is mostly noise.
Source: dropout of inputs and units, Srivastava et al. 2014, JMLR 15:1929-1958.
"""

from typing import Final

import torch
from torch import Tensor, nn

from clinic_mm.encoders.base import Encoder

DROP: Final = 0.3
NOISE: Final = 0.1


class OmicsEncoder(Encoder):
    """Two layers."""

    def __init__(self, shape: tuple[int, ...], n_classes: int, size: str) -> None:
        super().__init__(shape, n_classes, size)
        self.mix = nn.Sequential(
            nn.Linear(shape[0], self.width),
            nn.GELU(),
            nn.Dropout(DROP),
            nn.Linear(self.width, self.width),
        )

    @property
    def n_tokens(self) -> int:
        """One."""
        return 1

    def augment(self, x: Tensor) -> Tensor:
        """Leave out some components, and add a little noise."""
        return x.masked_fill(torch.rand_like(x) < DROP, 0.0) + NOISE * torch.randn_like(x)

    def encode(self, x: Tensor) -> Tensor:
        """One token."""
        token: Tensor = self.mix(x)
        return token[:, None]
