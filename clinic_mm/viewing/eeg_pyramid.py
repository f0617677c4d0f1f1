"""The least and greatest values of a long recording, coarse over fine, so that a day fits on a screen unharmed.

In:  blocks of samples in any cut, in any order.
Out: a `Pyramid`: for each channel and cell the exact minimum and maximum; a spike of one sample is on every level.

Nothing here reads a file.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float32
from numpy import ndarray as Array

FACTOR: Final = 4
"""Cells of one level in a cell of the next."""
FEWEST: Final = 256
"""A level with no more cells than this is the last."""


@dataclass(frozen=True, slots=True)
class Pyramid:
    """Extremes of a recording.

    Attributes:
        cell: Samples in a cell of the finest level; a cell of level k has FACTOR**k times as many.
        samples: Of the recording.
        levels: Finest first: least and greatest value of each cell; NaN where nothing was recorded.
    """

    cell: int
    samples: int
    levels: tuple[Float32[Array, "2 channel cell"], ...]

    def columns(self, start: int, stop: int, most: int) -> tuple[int, int, Float32[Array, "2 channel column"]]:
        """The finest cells that cover a span in at most `most` columns.

        Args:
            start: First sample.
            stop: The one after the last.
            most: Columns that there is room for, at least 1.

        Returns:
            First sample of the first column, samples in a column, and the extremes; whole cells, so that each is exact.
        """
        for depth, level in enumerate(self.levels):
            width = self.cell * FACTOR**depth
            first, last = start // width, -(-stop // width)
            if last - first <= most or depth == len(self.levels) - 1:
                return first * width, width, level[:, :, first:last]
        raise AssertionError  # there is always a last level


class PyramidBuilder:
    """Takes blocks as they come."""

    def __init__(self, channels: int, samples: int, cell: int) -> None:
        self.cell, self.samples = max(1, cell), samples
        self.base = np.full((2, channels, -(-samples // self.cell)), np.nan, np.float32)

    def add(self, start: int, block: Float32[Array, "channel sample"]) -> None:
        """Take the samples from `start` on; where two blocks share a cell, both count."""
        if not block.shape[1]:
            return
        stop = start + block.shape[1]
        first, last = start // self.cell, -(-stop // self.cell)
        edges = np.maximum(np.arange(first, last) * self.cell - start, 0)
        least, greatest = self.base[0, :, first:last], self.base[1, :, first:last]
        # fmin and fmax pass over NaN, so that a gap that begins within a cell leaves the rest of it.
        np.fmin(least, np.fmin.reduceat(block, edges, axis=1), out=least)
        np.fmax(greatest, np.fmax.reduceat(block, edges, axis=1), out=greatest)

    def pyramid(self) -> Pyramid:
        """All levels over what was taken."""
        levels = [self.base]
        while levels[-1].shape[2] > FEWEST:
            finer = levels[-1]
            edges = np.arange(0, finer.shape[2], FACTOR)
            least, greatest = (
                np.fmin.reduceat(finer[0], edges, axis=1),
                np.fmax.reduceat(finer[1], edges, axis=1),
            )
            levels.append(np.stack([least, greatest]))
        return Pyramid(self.cell, self.samples, tuple(levels))
