"""The CT encoder: a 3D MONAI network on the resized volume [n, 1, x, y, z] in [0, 1]."""

from typing import Final

from clinic_mm.encoders.image import ImageEncoder

PLANES: Final = {"tiny": (8, 16, 32), "small": (16, 32, 64), "base": (32, 64, 128)}
BLOCKS: Final = {"tiny": 1, "small": 1, "base": 2}


class CtEncoder(ImageEncoder):
    """Three-dimensional residual network."""

    def __init__(self, shape: tuple[int, ...], n_classes: int, size: str) -> None:
        super().__init__(shape, n_classes, size, planes=PLANES[size], blocks=BLOCKS[size])
