"""TreeSHAP of node arrays: equal to its definition over all subsets, sums to the raw score, baseline of training."""

from functools import cache
from itertools import combinations
from math import comb

import numpy as np
import pytest
from numpy import ndarray as Array
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from clinic_mm.predict.heads import TreeHead, from_arrays
from clinic_mm.predict.within.head_shares import head_shares
from clinic_mm.predict.within.tree_shap import tree_shares
from clinic_mm.training.heads import export_trees

COLUMNS = 5


def table(n: int, seed: int, p: int = COLUMNS) -> Array:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    x[rng.random(x.shape) < 0.15] = np.nan
    return x


def labels(x: Array, n_classes: int) -> Array:
    filled = np.nan_to_num(x)
    score = filled[:, 0] * filled[:, 1] + filled[:, 2] + np.isnan(x[:, 3])
    return np.digitize(score, np.quantile(score, np.arange(1, n_classes) / n_classes))


@cache
def fitted(n_classes: int, n: int = 240) -> tuple[TreeHead, Array]:
    x = table(n, n_classes)
    forest = HistGradientBoostingClassifier(
        max_iter=6, max_leaf_nodes=9, min_samples_leaf=5, early_stopping=False, random_state=0
    )
    with threadpool_limits(1):
        return export_trees([forest.fit(x, labels(x, n_classes))]), x


def deep() -> TreeHead:
    """One tree that asks for the same column three times on one path, and a tree that is a leaf alone."""
    nan = np.nan
    nodes = [  # feature, threshold, missing_left, left, right, value, cover
        *((0, 0.5, 1, 1, 2, 0.0, 40), (1, 0.0, 0, 3, 4, 0.0, 25), (2, nan, 0, 2, 2, 2.0, 15)),
        *((0, -1.0, 0, 5, 6, 0.0, 10), (1, nan, 0, 4, 4, -1.0, 15), (0, nan, 0, 5, 5, 0.7, 4)),
        *(
            (0, 0.1, 1, 7, 8, 0.0, 6),
            (0, nan, 0, 7, 7, 1.1, 1),
            (0, nan, 0, 8, 8, -0.4, 5),
            (0, nan, 0, 9, 9, 0.25, 40),
        ),
    ]
    feature, threshold, missing, left, right, value, cover = (np.array(part) for part in zip(*nodes, strict=True))
    return TreeHead(
        baseline=np.array([0.3]),
        roots=np.array([0, 9]),
        classes=np.array([0, 0]),
        depth=np.array([4]),
        n_features=np.array([3]),
        feature=feature,
        threshold=np.nan_to_num(threshold),
        missing_left=missing.astype(np.uint8),
        left=left,
        right=right,
        value=value.astype(float),
        cover=cover.astype(float),
    )


def expected(head: TreeHead, node: int, row: Array, known: frozenset[int]) -> float:
    """What a tree says of the known columns: both sides weighted by training rows where a column is not known."""
    left, right = int(head.left[node]), int(head.right[node])
    if left == node:
        return float(head.value[node])
    column = int(head.feature[node])
    if column in known:
        cell = row[column]
        goes_left = head.missing_left[node] == 1 if np.isnan(cell) else cell <= head.threshold[node]
        return expected(head, left if goes_left else right, row, known)
    sides = (expected(head, side, row, known) * head.cover[side] for side in (left, right))
    return sum(sides) / float(head.cover[node])


def by_definition(head: TreeHead, row: Array, score: int) -> Array:
    """Shapley values over all subsets of the columns."""
    p = len(row)
    roots = head.roots[head.classes == score]
    value = {
        frozenset(s): sum(expected(head, int(root), row, frozenset(s)) for root in roots)
        for size in range(p + 1)
        for s in combinations(range(p), size)
    }
    shares = np.zeros(p)
    for s, worth in value.items():
        for j in set(range(p)) - s:
            shares[j] += (value[s | {j}] - worth) / (p * comb(p - 1, len(s)))
    return shares


def raw(head: TreeHead, x: Array) -> Array:
    added = head.value[head._leaves(x)]
    return np.stack([head.baseline[k] + added[:, head.classes == k].sum(axis=1) for k in range(len(head.baseline))], 1)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_shares_are_the_shapley_values_of_the_definition(n_classes: int) -> None:
    head, x = fitted(n_classes)
    _, shares = tree_shares(head, x[:3])
    for row, told in zip(x[:3], shares, strict=True):
        for score in range(len(head.baseline)):
            np.testing.assert_allclose(told[score], by_definition(head, row, score), atol=1e-9)


def test_a_column_asked_for_again_and_again_and_a_tree_without_a_split() -> None:
    head, x = deep(), table(6, 9, 3)
    _, shares = tree_shares(head, x)
    for row, told in zip(x, shares, strict=True):
        np.testing.assert_allclose(told[0], by_definition(head, row, 0), atol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_shares_and_baseline_sum_to_the_score_and_the_baseline_is_the_mean_of_training(n_classes: int) -> None:
    head, x = fitted(n_classes)
    baseline, shares = tree_shares(head, x)
    assert np.abs(baseline + shares.sum(axis=2) - raw(head, x)).max() < 1e-6
    np.testing.assert_allclose(baseline, raw(head, x).mean(axis=0), atol=1e-9)


def test_a_row_alone_has_the_shares_that_it_has_among_many() -> None:
    head, x = fitted(2)
    _, many = tree_shares(head, x)  # through the table of patterns
    for k in (0, 17):
        np.testing.assert_allclose(tree_shares(head, x[[k]])[1][0], many[k], atol=1e-12)


def test_the_shap_library_says_the_same() -> None:
    shap = pytest.importorskip("shap", reason="shap is not installed (it brings a compiler of 200 MB)")
    head, x = fitted(2)
    leaf = head.left == np.arange(len(head.left))
    ends = np.r_[head.roots[1:], len(head.left)]
    trees = [
        {
            "children_left": np.where(leaf, -1, head.left - a)[a:b],
            "children_right": np.where(leaf, -1, head.right - a)[a:b],
            "children_default": np.where(leaf, -1, np.where(head.missing_left == 1, head.left, head.right) - a)[a:b],
            "features": np.where(leaf, -2, head.feature)[a:b],
            "thresholds": head.threshold[a:b],
            "values": head.value[a:b, None],
            "node_sample_weight": head.cover[a:b],
        }
        for a, b in zip(head.roots, ends, strict=True)
    ]
    model = {"trees": trees, "base_offset": head.baseline[0], "tree_output": "raw_value", "objective": "binary"}
    explainer = shap.TreeExplainer({**model, "input_dtype": np.float64, "internal_dtype": np.float64})
    np.testing.assert_allclose(explainer.shap_values(x[:20]), tree_shares(head, x[:20])[1][:, 0], atol=1e-9)


def test_trees_of_an_older_artifact_are_read_and_not_explained() -> None:
    head, x = fitted(2)
    arrays = {name: a for name, a in head.to_arrays().items() if name != "cover"}
    older = from_arrays("trees", arrays)
    np.testing.assert_array_equal(older.predict(x), head.predict(x))
    assert older.to_arrays().keys() == arrays.keys()
    assert head_shares(older, x, np.ones(len(x), int)) is None
