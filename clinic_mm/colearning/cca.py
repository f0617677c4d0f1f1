"""Canonical correlation analysis of two, or of any number of, sets of features, in closed form.

In:  one table of numbers for each view, and which rows of each are there. Out: weights that bring every view into one
shared space, where the scores of one case agree as far as a linear map can make them.

Covariances are shrunk toward a multiple of the identity, so that p may exceed n. Rows that a view lacks take no part in
it; the score of a case is the mean over the views that it has. Nothing here knows of modalities, files or patients.

Sources: Hotelling 1936, doi:10.1093/biomet/28.3-4.321 (two sets); Kettenring 1971, doi:10.1093/biomet/58.3.433 (MAXVAR,
several sets); van de Velden & Takane 2012, doi:10.1007/s00180-011-0276-y (missing rows: the missing-data passive way);
Takane, Hwang & Abdi 2008, doi:10.1007/s11336-008-9065-0 (ridge); Ledoit & Wolf 2004,
doi:10.1016/S0047-259X(03)00096-4 (how much).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Float64
from numpy import ndarray as Array
from scipy.linalg import cholesky, eigh, solve_triangular
from sklearn.covariance import ledoit_wolf_shrinkage

LEAST_SHRINK: Final = 1e-8
"""Keeps a covariance of features that depend on each other positive definite."""


@dataclass(frozen=True, slots=True)
class Canonical:
    """A fitted shared space.

    Attributes:
        mean: Of each view's features over the rows that it has.
        weights: Of each view, one column per shared dimension, the most agreed first.
        agreement: Eigenvalue of each dimension, from 1 / M (nothing shared) to 1 (all views agree). With two complete
            views it is (1 + canonical correlation) / 2.
    """

    mean: tuple[Float64[Array, " p"], ...]
    weights: tuple[Float64[Array, "p d"], ...]
    agreement: Float64[Array, " d"]

    def scores(self, view: int, x: Float[Array, "n p"]) -> Float64[Array, "n d"]:
        """Rows of one view in the shared space."""
        scores: Array = (x - self.mean[view]) @ self.weights[view]
        return scores


def canonical(
    views: Sequence[Float[Array, "n p"]], present: Bool[Array, "n M"], dim: int, shrink: float | None = None
) -> Canonical:
    """Fit MAXVAR over the rows that each view has.

    With K_m the diagonal matrix of who has view m, D = sum K_m, and P_m the projection on the present rows of view m,
    the scores G maximise tr G' (sum_m K_m P_m K_m) G subject to G' D G = I. Solved for the weights instead:

        H_ab = L_a^-1 X_a' D^-1 X_b L_b^-T,   C_m = X_m' X_m = L_m L_m',   H v = agreement v,   W_m ~ L_m^-T v_m

    A ridge enters C_m and, by the share that the view has in its rows, the diagonal block H_mm; where no row is missing
    that is the ridge of Takane et al.

    Args:
        views: Features of each view; rows where it is absent are not looked at.
        present: Which view each row has; each view needs two rows.
        dim: Shared dimensions, fewer where there are fewer features.
        shrink: Share of the identity in every covariance, 0 to 1; Ledoit and Wolf's where None.
    """
    cells = [np.asarray(x[here], np.float64) for x, here in zip(views, present.T, strict=True)]
    means = [x.mean(axis=0) for x in cells]
    centred = [x - mean for x, mean in zip(cells, means, strict=True)]
    roots = [cholesky(_covariance(x, shrink), lower=True) for x in centred]
    whole = [_spread(x, here) for x, here in zip(centred, present.T, strict=True)]
    values, vectors = _leading(_blocks(whole, roots, present), dim)
    n = present.sum(axis=0)
    parts = np.split(vectors, np.cumsum([x.shape[1] for x in centred])[:-1])
    weights = [
        np.sqrt(n.sum() / rows) * solve_triangular(root, part, lower=True, trans="T")
        for root, part, rows in zip(roots, parts, n, strict=True)
    ]
    return Canonical(tuple(means), tuple(weights), values)


def _blocks(
    whole: Sequence[Float64[Array, "n p"]], roots: Sequence[Float64[Array, "p p"]], present: Bool[Array, "n M"]
) -> Float64[Array, "q q"]:
    """The matrix H of all views side by side."""
    share = 1.0 / np.maximum(present.sum(axis=1), 1)
    white = [
        solve_triangular(root, x.T, lower=True).T / np.sqrt(here.sum())
        for root, x, here in zip(roots, whole, present.T, strict=True)
    ]
    side = np.hstack(white)
    h: Array = side.T @ (side * share[:, None])
    at = 0
    for x, here in zip(white, present.T, strict=True):
        block = slice(at, at + x.shape[1])
        h[block, block] += share[here].mean() * (np.eye(x.shape[1]) - x.T @ x)
        at += x.shape[1]
    return h


def _leading(h: Float64[Array, "q q"], dim: int) -> tuple[Float64[Array, " d"], Float64[Array, "q d"]]:
    last = len(h) - 1
    values, vectors = eigh(h, subset_by_index=(max(0, last + 1 - dim), last))
    vectors = vectors[:, ::-1]
    # A vector and its negative serve alike; the sign is fixed so that the same rows give the same space.
    sign = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])])
    return values[::-1], vectors * sign


def _covariance(x: Float64[Array, "n p"], shrink: float | None) -> Float64[Array, "p p"]:
    covariance: Array = x.T @ x / len(x)
    size = np.trace(covariance) / len(covariance) or 1.0
    asked = float(ledoit_wolf_shrinkage(x, assume_centered=True)) if shrink is None else shrink
    alpha = max(LEAST_SHRINK, asked)
    return (1 - alpha) * covariance + alpha * size * np.eye(len(covariance))


def _spread(x: Float64[Array, "k p"], here: Bool[Array, " n"]) -> Float64[Array, "n p"]:
    out = np.zeros((len(here), x.shape[1]))
    out[here] = x
    return out
