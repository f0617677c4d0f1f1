"""The X-ray encoder: a 2D MONAI network on the stretched image [n, 1, row, column] in [0, 1]."""

from typing import Final

from clinic_mm.encoders.image import ImageEncoder

PLANES: Final = {"tiny": (12, 24, 48), "small": (24, 48, 96), "base": (48, 96, 192)}
BLOCKS: Final = {"tiny": 1, "small": 1, "base": 2}


class XrayEncoder(ImageEncoder):
    """Two-dimensional residual network."""

    def __init__(self, shape: tuple[int, ...], n_classes: int, size: str) -> None:
        super().__init__(shape, n_classes, size, planes=PLANES[size], blocks=BLOCKS[size])
