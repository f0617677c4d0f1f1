"""Exact SHAP values of boosted trees kept as node arrays, for many rows at once.

In:  a TreeHead with the rows that passed each node (`cover`), a table. Out: what each column adds to each raw score.

Path-dependent TreeSHAP: what a tree would say without a column is the mean over both sides of its splits, weighted by
the rows that went each way in training. So no training case is needed (the interventional kind needs some), and the
baseline is the mean raw score of the rows that the trees were grown on.

One leaf is a game of its own: v(S) = value · product over the columns on its path of o_j (in S: 1 where the row obeys
all splits on j, else 0) or z_j (not in S: the share of training rows that do). By the multilinear extension the share
of i is value · (o_i - z_i) · integral over t from 0 to 1 of the product over j ≠ i of ((1 - t) z_j + t o_j): a
polynomial, which Gauss-Legendre integrates exactly. Any number of equal splits of one column is one interval.

Source: Lundberg et al. 2020, doi:10.1038/s42256-019-0138-9 (TreeSHAP); Owen 1972, doi:10.1287/mnsc.18.5.64 (multilinear
extension).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from numpy import ndarray as Array

from clinic_mm.predict.heads import TreeHead

CELLS_AT_ONCE: Final = 1 << 21
"""Cells of the largest table held at once: bounds memory."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Leaves whose paths ask for the same number m of columns.

    Attributes:
        value: What each leaf adds [L].
        score: Which raw score it adds to [L].
        column: Columns on its path [L, m].
        above: A value obeys where it is above this [L, m] ...
        up_to: ... and up to this [L, m].
        missing: Whether a missing value obeys [L, m].
        z: Share of training rows that obey, where the path gets that far [L, m].
    """

    value: Float64[Array, " L"]
    score: Int[Array, " L"]
    column: Int[Array, "L m"]
    above: Float64[Array, "L m"]
    up_to: Float64[Array, "L m"]
    missing: Bool[Array, "L m"]
    z: Float64[Array, "L m"]

    def obeyed(self, x: Float64[Array, "n p"]) -> Bool[Array, "n L m"]:
        """Which splits each row obeys."""
        cell = x[:, self.column]
        obeyed: Array = np.where(np.isnan(cell), self.missing, (cell > self.above) & (cell <= self.up_to))
        return obeyed

    def shares(self, x: Float64[Array, "n p"]) -> Float64[Array, "n L m"]:
        """What each column on each path adds: one row of a table of all answers that a path can give."""
        n_leaves, m = self.column.shape
        if len(x) < 2**m:
            return _leaf_shares(self.obeyed(x), self.z, self.value[:, None])
        patterns = (np.arange(2**m)[:, None, None] >> np.arange(m)) & 1 == 1
        table = _leaf_shares(patterns, self.z, self.value[:, None])
        which = (self.obeyed(x) << np.arange(m)).sum(axis=2)
        told: Array = table[which, np.arange(n_leaves)]
        return told


def tree_shares(head: TreeHead, x: Float[Array, "n p"]) -> tuple[Float64[Array, " k"], Float64[Array, "n k p"]]:
    """Baseline of each raw score, and what each column adds to it.

    Args:
        head: Trees that know their `cover`.
        x: As `TreeHead.predict` takes it.

    Returns:
        Baseline [k] and shares [n, k, p]: baseline + shares summed over columns = raw score.
    """
    assert len(head.cover), "without the rows that passed its nodes a tree has no baseline"
    x = np.where(np.isfinite(x), x, np.nan).astype(np.float64)
    k, p = len(head.baseline), x.shape[1]
    paths, baseline, shares = paths_of(head), head.baseline.copy(), np.zeros((len(x), k * p))
    for group in paths:
        np.add.at(baseline, group.score, group.value * group.z.prod(axis=1))
        cell = (group.score[:, None] * p + group.column).ravel()
        step = max(1, CELLS_AT_ONCE // max(cell.size * max(group.column.shape[1], 1), 1))
        for start in range(0, len(x) if cell.size else 0, step):
            added = group.shares(x[start : start + step]).reshape(-1, cell.size)
            for row, told in enumerate(added, start):
                shares[row] += np.bincount(cell, told, k * p)
    return baseline, shares.reshape(len(x), k, p)


def paths_of(head: TreeHead) -> list[Paths]:
    """All leaves with their paths, by the number of columns that a path asks for."""
    own = np.arange(len(head.feature))
    inner = np.flatnonzero(head.left != own)
    parent, went_left = np.full(len(own), -1), np.zeros(len(own), bool)
    parent[head.left[inner]], parent[head.right[inner]], went_left[head.left[inner]] = inner, inner, True
    leaves = np.flatnonzero(head.left == own)
    tree = np.searchsorted(np.sort(head.roots), leaves, side="right") - 1
    score = head.classes[np.argsort(head.roots)][tree]
    place, node = np.arange(len(leaves)), leaves
    steps = [(place[:0], node[:0], node[:0])]
    while len(node):  # all leaves climb at once; those at their root are done
        up = parent[node]
        going = up >= 0
        place, node, up = place[going], node[going], up[going]
        steps.append((place, node, up))
        node = up
    of, child, above = (np.concatenate(part) for part in zip(*steps, strict=True))
    return _merged(head, (leaves, score), (of, child, above), went_left)


def _merged(
    head: TreeHead, leaves: tuple[Array, Array], steps: tuple[Array, Array, Array], went_left: Bool[Array, " N"]
) -> list[Paths]:
    """Splits of one path on one column made one interval; then paths of equal length side by side."""
    (leaf, score), (of, child, parent) = leaves, steps
    value = head.value[leaf]
    column, left = head.feature[parent], went_left[child]
    order = np.lexsort((column, of))
    of, child, parent, column, left = (a[order] for a in (of, child, parent, column, left))
    new = np.r_[True, (of[1:] != of[:-1]) | (column[1:] != column[:-1])][: len(of)]
    start = np.flatnonzero(new)
    reduced = {
        "column": column[start],
        "above": _reduced(np.maximum, np.where(left, -np.inf, head.threshold[parent]), start),
        "up_to": _reduced(np.minimum, np.where(left, head.threshold[parent], np.inf), start),
        "missing": _reduced(np.logical_and, (head.missing_left[parent] == 1) == left, start),
        "z": _reduced(np.multiply, head.cover[child] / head.cover[parent], start),
    }
    length = np.bincount(of[start], minlength=len(leaf))
    first = np.cumsum(length) - length
    groups = []
    for m in np.unique(length):
        mine = np.flatnonzero(length == m)
        at = first[mine][:, None] + np.arange(m)
        groups.append(Paths(value[mine], score[mine], **{name: part[at] for name, part in reduced.items()}))
    return groups


def _reduced(how: np.ufunc, values: Array, start: Int[Array, " s"]) -> Array:
    made: Array = how.reduceat(values, start) if len(start) else values
    return made


def _leaf_shares(
    obeys: Bool[Array, "n L m"], z: Float64[Array, "L m"], value: Float64[Array, "L 1"]
) -> Float64[Array, "n L m"]:
    """The share of each column on a path; `z` is above 0, so that a factor may be divided out again."""
    m = z.shape[1]
    total = np.zeros(np.broadcast_shapes(obeys.shape, z.shape))
    points, weights = np.polynomial.legendre.leggauss(max(1, (m + 1) // 2))
    for at, weight in zip((points + 1) / 2, weights / 2, strict=True):
        factor = (1 - at) * z + at * obeys
        total += weight * factor.prod(axis=2, keepdims=True) / factor
    shares: Array = value * (obeys - z) * total
    return shares
