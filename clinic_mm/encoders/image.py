"""The MONAI trunk that CT and X-ray share: a residual network whose feature map becomes tokens.

In:  images [n, 1, …]. Out: one token per cell of the last feature map.
GroupNorm throughout: no statistic crosses cases. Source: He et al., doi:10.1109/CVPR.2016.90; MONAI's ResNet.
"""

import torch
from monai.networks.nets.resnet import ResNet
from torch import Tensor, nn

from clinic_mm.encoders.base import Encoder

CHANNELS_A_GROUP = 4
SHIFT = 2
NOISE = 0.01


class ImageEncoder(Encoder):
    """Three stages of a MONAI ResNet and a projection to the token width."""

    def __init__(
        self, shape: tuple[int, ...], n_classes: int, size: str, *, planes: tuple[int, int, int], blocks: int
    ) -> None:
        super().__init__(shape, n_classes, size)
        trunk = ResNet(
            "basic",
            [blocks] * 4,
            [*planes, planes[-1]],
            spatial_dims=len(shape) - 1,
            n_input_channels=shape[0],
            conv1_t_size=5,
            conv1_t_stride=2,
            feed_forward=False,
        )
        _group_norms(trunk)
        # The fourth stage would leave a map of 2 cells a side: too coarse for a nodule. It is not part of the network.
        stem = nn.Sequential(trunk.conv1, trunk.bn1, nn.ReLU(), trunk.maxpool)
        self.trunk = nn.Sequential(stem, trunk.layer1, trunk.layer2, trunk.layer3)
        self.project = nn.Conv3d(planes[-1], self.width, 1) if len(shape) == 4 else nn.Conv2d(planes[-1], self.width, 1)
        with torch.no_grad():
            self._n_tokens = self._map(torch.zeros(1, *shape)).flatten(2).shape[2]

    @property
    def n_tokens(self) -> int:
        """Cells of the last feature map."""
        return self._n_tokens

    def _map(self, x: Tensor) -> Tensor:
        features: Tensor = self.project(self.trunk(x))
        return features

    def augment(self, x: Tensor) -> Tensor:
        """Shift the batch by up to two cells an axis, and add a little noise."""
        shift = torch.randint(-SHIFT, SHIFT + 1, (x.ndim - 2,)).tolist()
        moved = torch.roll(x, shift, dims=tuple(range(2, x.ndim)))
        return moved + NOISE * torch.randn_like(moved)

    def encode(self, x: Tensor) -> Tensor:
        """One token per cell of the map."""
        return self._map(x).flatten(2).transpose(1, 2)


def _group_norms(module: nn.Module) -> None:
    """GroupNorm for every BatchNorm: MONAI's ResNet hands its own `norm` to the stem only, not to the blocks."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d | nn.BatchNorm3d):
            setattr(module, name, nn.GroupNorm(child.num_features // CHANNELS_A_GROUP, child.num_features))
        else:
            _group_norms(child)
