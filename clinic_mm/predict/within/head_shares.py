"""What each feature of a head adds to its opinion, exactly: linear SHAP for ridge, TreeSHAP for trees.

In:  a fitted head, a table of its features. Out: the opinion toward a class, its mean over the rows that the head was
fitted on, and what each column adds: baseline + shares = opinion.

The opinion is in the unit of `attribute.worth`: log-odds of the second of two classes, else the centred log-probability
of a class. A missing value's indicator belongs to its feature.

Source: for a linear model with the training rows as background the SHAP value of a feature is its weight times its
distance from the mean (Strumbelj & Kononenko 2014, doi:10.1007/s10115-013-0679-x; Lundberg & Lee 2017, arXiv
1705.07874, corollary 1); for trees see `tree_shap`.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int
from numpy import ndarray as Array

from clinic_mm.predict.heads import Head, RidgeHead, TreeHead
from clinic_mm.predict.within.told import Way
from clinic_mm.predict.within.tree_shap import tree_shares


class HeadShares(NamedTuple):
    """What the columns of a head add, for n rows."""

    way: Way
    baseline: Float64[Array, " n"]
    share: Float64[Array, "n p"]

    @property
    def opinion(self) -> Float64[Array, " n"]:
        """What the head says."""
        said: Array = self.baseline + self.share.sum(axis=1)
        return said


def head_shares(head: Head | None, x: Float[Array, "n p"], toward: Int[Array, " n"]) -> HeadShares | None:
    """Shares of the columns toward a class of each row; None where a head has none that are exact."""
    match head:
        case RidgeHead():
            return HeadShares("linear", *_toward(head.intercept, _ridge_shares(head, x), toward))
        case TreeHead() if len(head.cover):
            return HeadShares("trees", *_toward(*tree_shares(head, x), toward))
        case _:
            return None


def _ridge_shares(head: RidgeHead, x: Float[Array, "n p"]) -> Float64[Array, "n k p"]:
    """Weight times standardised feature: standardised features have mean 0 over the training rows."""
    added = head.features(x)[:, None, :] * head.coef
    shares: Array = added[:, :, : len(head.median)]
    shares[:, :, head.flagged] += added[:, :, len(head.median) :]
    return shares


def _toward(
    baseline: Float64[Array, " k"], shares: Float64[Array, "n k p"], toward: Int[Array, " n"]
) -> tuple[Float64[Array, " n"], Float64[Array, "n p"]]:
    """Of one raw score the score itself; of several that of a class less their mean, which softmax leaves alone."""
    if len(baseline) == 1:
        return np.full(len(shares), baseline[0]), shares[:, 0]
    rows = np.arange(len(shares))
    return baseline[toward] - baseline.mean(), shares[rows, toward] - shares.mean(axis=1)
