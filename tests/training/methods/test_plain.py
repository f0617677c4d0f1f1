"""The plain models say what scikit-learn's own say, and know gaps."""

from dataclasses import replace

import numpy as np
import pytest
from numpy import ndarray as Array
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from clinic_mm.fusion.heard import Heard
from clinic_mm.training.methods import plain
from clinic_mm.training.methods.base import Lesson
from tests.training.methods.opinions import lesson


def _lesson(n_classes: int) -> Lesson:
    """Gaps, an empty column, a constant column, and values far outside at the end."""
    rng = np.random.default_rng(0)
    n = 200
    y = np.arange(n) % n_classes
    present = rng.random((n, 2)) < 0.8
    present[~present.any(axis=1), 0] = True
    a = rng.normal(y[:, None], 1.0, (n, 4)).astype(np.float32)
    a[rng.random(a.shape) < 0.2] = np.nan
    a[:, 2], a[-5:, 0] = np.nan, 1e4
    b = np.hstack([rng.normal(y[:, None], 2.0, (n, 2)), np.full((n, 1), 7.0)]).astype(np.float32)
    sides = {"m0": np.where(present[:, [0]], a, np.nan), "m1": np.where(present[:, [1]], b, np.nan)}
    p = np.full((n, 2, n_classes), 1 / n_classes)
    heard = Heard(("m0", "m1"), sides, p, present, np.full((n, 2), np.nan), {})
    return replace(lesson([1.0, 1.0], n=n), heard=heard, labels=y, prior=p[0, 0], rows=np.arange(150))


def _table(given: Lesson) -> Array:
    heard = given.heard
    return np.hstack([*heard.plain.values(), heard.present]).astype(np.float64)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_logistic_regression_is_the_usual_pipeline(n_classes: int) -> None:
    given = _lesson(n_classes)
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    usual = make_pipeline(imputer, StandardScaler(), LogisticRegression(max_iter=1000))
    x = _table(given)
    usual.fit(x[given.rows], given.labels[given.rows])
    every = np.arange(len(x))
    ours = np.exp(plain.logistic(given, {}).logits(given.heard, every, given.heard.present))
    np.testing.assert_allclose(ours, np.maximum(usual.predict_proba(x), 1e-6), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_boosting_is_the_usual_booster(n_classes: int) -> None:
    given = _lesson(n_classes)
    x = _table(given)
    usual = HistGradientBoostingClassifier(random_state=given.seed, early_stopping=False)
    usual.fit(np.where(np.isnan(x).all(axis=0), 0.0, x)[given.rows], given.labels[given.rows])
    every = np.arange(len(x))
    ours = np.exp(plain.boosting(given, {}).logits(given.heard, every, given.heard.present))
    np.testing.assert_allclose(ours, np.maximum(usual.predict_proba(x), 1e-6), rtol=1e-5, atol=1e-6)
