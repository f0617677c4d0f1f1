"""Fitting the plain heads: equal to scikit-learn, blind to scale, the same twice, and better than the prior."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from clinic_mm.errors import TaskError
from clinic_mm.predict.heads import Head
from clinic_mm.training.heads import CANDIDATES, export_trees, fit_prior, fit_ridge, fit_trees


def _rows(n: int = 300, p: int = 6, n_classes: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features that know the class, a fifth of the cells missing."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    x = rng.normal(size=(n, p))
    x[:, 0] += 1.5 * y
    x[:, 1] -= 1.0 * (y == 1)
    x[rng.random(x.shape) < 0.2] = np.nan
    return x, y


def _nll(head: Head, x: np.ndarray, y: np.ndarray) -> float:
    return float(-np.log(head.predict(x)[np.arange(len(y)), y]).mean())


@pytest.mark.parametrize("n_classes", [2, 4])
def test_tree_head_equals_scikit_learn_with_missing_cells(n_classes: int) -> None:
    x, y = _rows(1200, n_classes=n_classes)
    x[:600, 5] = 1.0  # no missing cell in training: scikit-learn sends one to the larger side
    x[600:, 5] = 2.0
    model = HistGradientBoostingClassifier(max_iter=40, max_features=0.5, random_state=0).fit(x, y)
    new, _ = _rows(700, n_classes=n_classes, seed=1)
    new[0] = np.nan
    np.testing.assert_allclose(export_trees([model]).predict(new), model.predict_proba(new), rtol=0, atol=1e-6)


def test_several_boosters_average_in_the_raw_score() -> None:
    x, y = _rows()
    models = [HistGradientBoostingClassifier(max_iter=9, max_features=0.3, random_state=s).fit(x, y) for s in (0, 1)]
    p = export_trees(models).predict(x)
    raw = np.mean([m.decision_function(x) for m in models], axis=0)
    np.testing.assert_allclose(np.log(p[:, 1] / p[:, 0]), raw, atol=1e-9)


@pytest.mark.parametrize("fit", CANDIDATES.values(), ids=CANDIDATES)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_head_beats_the_prior_on_new_rows_and_is_the_same_twice(fit: Callable[..., Head], n_classes: int) -> None:
    x, y = _rows(240, n_classes=n_classes)
    new, truth = _rows(400, n_classes=n_classes, seed=1)
    patients = np.array([f"p{i // 2}" for i in range(len(y))])
    head = fit(x, y, n_classes, seed=3, groups=patients)
    assert _nll(head, new, truth) < _nll(fit_prior(x, y, n_classes, seed=0), new, truth) - 0.1
    again = fit(x, y, n_classes, seed=3, groups=patients)
    for name, array in head.to_arrays().items():
        np.testing.assert_array_equal(again.to_arrays()[name], array)


def test_ridge_does_not_see_the_scale_or_origin_of_a_feature() -> None:
    x, y = _rows()
    scale, origin = np.array([1e-6, 1e6, 3.0, 1.0, 10.0, 0.1]), np.array([0.0, 1e6, -5.0, 0.0, 2.0, 0.0])
    plain = fit_ridge(x, y, 2, seed=0).predict(x)
    np.testing.assert_allclose(
        fit_ridge(x * scale + origin, y, 2, seed=0).predict(x * scale + origin), plain, atol=1e-5
    )


def test_ridge_in_the_span_of_few_rows_is_the_ridge_in_full() -> None:
    """The optimum of C * NLL + |w|^2 / 2 has w = C * X'(y - p) in each of the 60 columns, fitted in 40 dimensions."""
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    x = rng.normal(size=(40, 60)) + 0.8 * y[:, None]
    head = fit_ridge(x, y, 2, seed=0)
    pull = head.features(x).T @ (y - head.predict(x)[:, 1])
    strength = head.coef[0] @ pull / (pull @ pull)
    np.testing.assert_allclose(head.coef[0], strength * pull, atol=2e-3 * np.abs(head.coef).max())


@pytest.mark.parametrize("fit", CANDIDATES.values(), ids=CANDIDATES)
def test_noise_is_answered_with_almost_the_prior(fit: Callable[..., Head]) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(120, 30)), np.arange(120) % 2
    assert _nll(fit(x, y, 2, seed=0), rng.normal(size=(500, 30)), np.arange(500) % 2) < np.log(2) + 0.06


@pytest.mark.parametrize("fit", CANDIDATES.values(), ids=CANDIDATES)
def test_hard_tables_are_fitted_all_the_same(fit: Callable[..., Head]) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 400))
    x[:, 0], x[:, 1], x[3] = np.nan, 7.0, np.nan
    x[4, 2] = np.inf
    y = np.array([1, 1, *([0] * 28)])
    assert np.isfinite(fit(x, y, 2, seed=0).predict(x)).all()
    one_patient_each = np.array(["a"] * 2 + ["b"] * 28)
    assert np.isfinite(fit(x, y, 2, seed=0, groups=one_patient_each).predict(x)).all()


@pytest.mark.parametrize("fit", [fit_ridge, fit_trees])
def test_a_class_without_cases_is_refused_with_the_mend(fit: Callable[..., Head]) -> None:
    with pytest.raises(TaskError, match="No training case has class 2"):
        fit(*_rows(), 3, seed=0)
    with pytest.raises(TaskError, match="Labels must be 0 to 1"):
        fit(*_rows(n_classes=3), 2, seed=0)
