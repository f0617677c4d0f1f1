"""Canonical correlation against scikit-learn, against the equation with n-by-n projections, and its laws."""

import numpy as np
import pytest
from numpy import ndarray as Array
from scipy.linalg import eigh
from sklearn.cross_decomposition import CCA

from clinic_mm.colearning.cca import Canonical, canonical

WIDTHS = (4, 3, 5, 2, 6, 3)


def views(n: int, m: int, shared: float = 1.0) -> list[Array]:
    rng = np.random.default_rng(0)
    common = shared * rng.normal(size=(n, 2))
    return [rng.normal(size=(n, p)) + common @ rng.normal(size=(2, p)) for p in WIDTHS[:m]]


def gaps(n: int, m: int, share: float = 0.4) -> Array:
    rng = np.random.default_rng(1)
    present = rng.random((n, m)) >= share
    present[~present.any(axis=1), 0] = True
    return present


def textbook(given: list[Array], present: Array, dim: int) -> tuple[Array, Array]:
    """Eigenvectors of D^-1/2 (sum_m K_m P_m K_m) D^-1/2, with each P_m written out."""
    total = np.zeros((len(present), len(present)))
    for x, here in zip(given, present.T, strict=True):
        centred = np.zeros_like(x)
        centred[here] = x[here] - x[here].mean(axis=0)
        total += centred @ np.linalg.inv(centred.T @ centred) @ centred.T
    scale = present.sum(axis=1) ** -0.5
    values, vectors = np.linalg.eigh(scale[:, None] * total * scale)
    return values[::-1][:dim], (scale[:, None] * vectors)[:, ::-1][:, :dim]


def mean_of_present(given: list[Array], present: Array, found: Canonical) -> Array:
    total = sum(present[:, [k]] * found.scores(k, x) for k, x in enumerate(given))
    return total / present.sum(axis=1)[:, None]


@pytest.mark.parametrize("m", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("share", [0.0, 0.4])
def test_it_is_the_equation_with_and_without_missing_rows(m: int, share: float) -> None:
    given, present = views(60, m), gaps(60, m, share)
    found = canonical(given, present, 3, shrink=0.0)
    values, target = textbook(given, present, found.agreement.size)
    np.testing.assert_allclose(found.agreement, values, atol=1e-5)
    points = mean_of_present(given, present, found)
    for k in range(len(values)):  # a case is the mean of the views it has: the scores G, up to scale and sign
        assert abs(np.corrcoef(points[:, k], target[:, k])[0, 1]) > 1 - 1e-8


def test_two_complete_views_are_those_of_scikit_learn() -> None:
    x, y = views(80, 2)
    found = canonical([x, y], np.ones((80, 2), bool), 3, shrink=0.0)
    a, b = CCA(3, tol=1e-12, max_iter=100_000).fit_transform(x, y)
    theirs = [np.corrcoef(a[:, k], b[:, k])[0, 1] for k in range(3)]
    np.testing.assert_allclose(2 * found.agreement - 1, theirs, atol=1e-5)
    ours = [np.corrcoef(found.scores(0, x)[:, k], found.scores(1, y)[:, k])[0, 1] for k in range(3)]
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_allclose(found.scores(0, x).std(axis=0), 1, atol=1e-6)


def test_the_ridge_is_that_of_regularised_multiple_set_analysis() -> None:
    given, alpha = views(50, 3), 0.3
    centred = [x - x.mean(axis=0) for x in given]
    side = np.hstack(centred)
    inner, total = np.zeros((side.shape[1],) * 2), side.T @ side / 50
    at = 0
    for x in centred:
        block, s = slice(at, at + x.shape[1]), x.T @ x / 50
        inner[block, block] = (1 - alpha) * s + alpha * np.trace(s) / len(s) * np.eye(len(s))
        total[block, block] = inner[block, block]
        at += x.shape[1]
    values = eigh(total, inner, eigvals_only=True)[::-1][:4] / 3
    found = canonical(given, np.ones((50, 3), bool), 4, shrink=alpha)
    np.testing.assert_allclose(found.agreement, values, atol=1e-6)


def test_more_features_than_rows_are_no_trouble_and_find_what_is_shared() -> None:
    rng = np.random.default_rng(2)
    common = rng.normal(size=(80, 1))
    given = [rng.normal(size=(80, 300)) + common * rng.normal(size=300) for _ in range(2)]
    found = canonical([x[:50] for x in given], np.ones((50, 2), bool), 1)
    held = [found.scores(k, x[50:])[:, 0] for k, x in enumerate(given)]
    assert np.corrcoef(*held)[0, 1] > 0.9


def test_dependent_and_constant_columns_are_no_trouble() -> None:
    x, y = views(40, 2)
    x = np.hstack([x, x[:, :1], np.ones((40, 1))])
    assert np.isfinite(canonical([x, y], np.ones((40, 2), bool), 3).scores(0, x)).all()


@pytest.mark.parametrize("junk", [np.nan, 1e9])
def test_absent_rows_are_not_looked_at(junk: float) -> None:
    given, present = views(60, 3), gaps(60, 3)
    before = canonical(given, present, 3)
    after = canonical([np.where(h[:, None], x, junk) for x, h in zip(given, present.T, strict=True)], present, 3)
    for a, b in zip(before.weights, after.weights, strict=True):
        np.testing.assert_array_equal(a, b)
