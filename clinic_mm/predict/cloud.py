"""How far a case lies from the cloud of training cases: Mahalanobis distance with a shrunk covariance.

In:  features of one modality [n, p], NaN where a cell is missing. Out: one distance per row, and what it is made of.
Heavy tails are drawn in before anything is measured (median, quartiles, asinh), so that one wild value neither hides
the rest nor widens the cloud. A missing cell says nothing; the distance is per cell that is there.

Nothing here fits (see `training.outside`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm.errors import ArtifactError


@dataclass(frozen=True, slots=True)
class Cloud:
    """A Gaussian of drawn-in, standardised features, its covariance kept as r directions and one variance for the rest.

    Attributes:
        centre: Median of each feature.
        spread: Half of what lies between its quartiles, in standard deviations of a Gaussian; infinite where training
            shows no spread, so that the feature says nothing.
        mean: Of the drawn-in feature.
        scale: Standard deviation of the same.
        axes: Orthonormal directions [r, p].
        variance: Along them, shrunk [r].
        rest: Variance of every other direction [1].

    Source: Lee et al. 2018, arXiv 1807.03888 (the distance as a detector); Ledoit & Wolf 2004,
    doi:10.1016/S0047-259X(03)00096-4 (shrinkage); Tipping & Bishop 1999, doi:10.1111/1467-9868.00196 (one variance for
    all directions that are not kept).
    """

    centre: Float[Array, " p"]
    spread: Float[Array, " p"]
    mean: Float[Array, " p"]
    scale: Float[Array, " p"]
    axes: Float[Array, "r p"]
    variance: Float[Array, " r"]
    rest: Float[Array, " 1"]

    def standard(self, x: Float[Array, "n p"]) -> Float[Array, "n p"]:
        """Drawn-in, standardised features; 0, the middle, where a cell is missing."""
        drawn = np.arcsinh((x.astype(np.float64) - self.centre) / self.spread)
        standard: Array = np.nan_to_num((drawn - self.mean) / self.scale, nan=0.0, posinf=0.0, neginf=0.0)
        return standard

    def distance(self, x: Float[Array, "n p"]) -> Float[Array, " n"]:
        """Root of the mean squared distance per cell; about 1 for what the cloud was made of."""
        z = self.standard(x)
        # einsum adds up each row by itself: a row alone and the same row in a batch give the same bits.
        along = np.einsum("np,rp->nr", z, self.axes)
        squares = (z * z).sum(axis=1) / self.rest[0] + (along**2 * (1 / self.variance - 1 / self.rest[0])).sum(axis=1)
        cells: Array = np.sqrt(np.maximum(squares, 0.0) / np.maximum(1, np.isfinite(x).sum(axis=1)))
        return cells

    def parts(self, x: Float[Array, "n p"]) -> Float[Array, "n p"]:
        """What each feature adds to the squared distance; they sum to it."""
        z = self.standard(x)
        along = np.einsum("np,rp->nr", z, self.axes) * (1 / self.variance - 1 / self.rest[0])
        parts: Array = z * (z / self.rest[0] + np.einsum("nr,rp->np", along, self.axes))
        return parts

    def to_arrays(self) -> dict[str, Array]:
        """All fields by name, contiguous."""
        return {f.name: np.ascontiguousarray(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """The cloud that `to_arrays` came from.

        Raises:
            ArtifactError: If arrays are lacking, surplus, or do not fit each other.
        """
        if set(arrays) != {f.name for f in fields(cls)}:
            raise _damaged("arrays are lacking or surplus")
        cloud = cls(**arrays)
        p, r = len(cloud.centre), len(cloud.variance)
        shapes = (cloud.spread.shape, cloud.mean.shape, cloud.scale.shape, cloud.axes.shape, cloud.rest.shape)
        if shapes != ((p,), (p,), (p,), (r, p), (1,)):
            raise _damaged("its arrays do not fit each other")
        if not all((a > 0).all() for a in (cloud.spread, cloud.scale, cloud.variance, cloud.rest)):
            raise _damaged("a variance is not positive")
        return cloud


def _damaged(why: str) -> ArtifactError:
    mend = "Train the model again, or fetch its folder again"
    return ArtifactError(f"A detector of foreign inputs is damaged: {why}", "outside", mend)
