"""Deep canonical correlation analysis: what networks of two or more views should maximise.

In:  what each network made of the same rows. Out: a loss, minus the total correlation over all pairs of views.

    corr(H_a, H_b) = || S_aa^-1/2 S_ab S_bb^-1/2 ||_tr,   S_aa = H_a' H_a / (n - 1) + r I

The square roots are taken as Cholesky factors: they differ from the symmetric ones by rotations alone, so the singular
values, and their sum, are the same. The textbook way through eigenvectors divides by differences of eigenvalues in its
gradient and blows up where two are equal; the gradient of a Cholesky factor, and of a sum of singular values (U V'),
does neither.

Source: Andrew, Arora, Bilmes & Livescu, Deep canonical correlation analysis, ICML 2013 (PMLR 28(3), 1247-1255); several
views as the sum over pairs.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from clinic_mm.shapes import Presence

RIDGE: Final = 1e-2
"""Beside scores whose variance is about 1."""
ROWS_PER_DIMENSION: Final = 2
"""Fewer rows than this per dimension correlate perfectly by chance, and teach nothing."""


def total_correlation(a: Float[Tensor, "n d"], b: Float[Tensor, "n e"], ridge: float = RIDGE) -> Float[Tensor, ""]:
    """Sum of all canonical correlations of two sets of scores, with a ridge in both covariances.

    Args:
        a: Scores of one view.
        b: Scores of the other, of the same rows.
        ridge: Added to the variances.
    """
    a, b = a - a.mean(dim=0), b - b.mean(dim=0)
    root_a, root_b = _root(a, ridge), _root(b, ridge)
    between = a.T @ b / (len(a) - 1)
    left = torch.linalg.solve_triangular(root_a, between, upper=False)
    white = torch.linalg.solve_triangular(root_b, left.T, upper=False)
    total: Tensor = torch.linalg.svdvals(white).sum()
    return total


def deep_cca_loss(scores: Sequence[Float[Tensor, "n d"]], present: Presence, ridge: float = RIDGE) -> Float[Tensor, ""]:
    """Minus the mean over pairs of views of their total correlation per dimension, from 0 to -1.

    Args:
        scores: Of each view; rows where it is absent are not looked at.
        present: Which view each row has.
        ridge: See `total_correlation`.
    """
    found = []
    for a, b in combinations(range(len(scores)), 2):
        rows = (present[:, a] & present[:, b]).nonzero().squeeze(1)
        dimensions = min(scores[a].shape[1], scores[b].shape[1])
        if len(rows) >= max(2, ROWS_PER_DIMENSION * dimensions):
            found.append(total_correlation(scores[a][rows], scores[b][rows], ridge) / dimensions)
    return -torch.stack(found).mean() if found else sum((s[:0].sum() for s in scores), torch.zeros(()))


def _root(x: Float[Tensor, "n d"], ridge: float) -> Float[Tensor, "d d"]:
    covariance = x.T @ x / (len(x) - 1)
    root: Tensor = torch.linalg.cholesky(covariance + ridge * torch.eye(x.shape[1], dtype=x.dtype))
    return root
