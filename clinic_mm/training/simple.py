"""The simple baselines that a model must be worth its trouble against: plain scikit-learn, default settings.

In:  training cases. Out: a function from cases to class probabilities. Nothing is chosen by any score here, so that
nothing can be chosen too well.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray as Array
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from clinic_mm.prep.batch import PreparedCases, Recipe
from clinic_mm.prep.feature_table import RANGE, TREND

Answer = Callable[[PreparedCases], Float[Array, "n C"]]
Features = Callable[[PreparedCases], Float[Array, "n p"]]
LEFT_OUT: Final = (" age h", f" {TREND}", f" {RANGE}")
"""Age, trend and range of a value are our own ideas: the simple baselines have mean, min, max, last and count."""


class Baseline(Protocol):
    """What cross-validation fits beside the model, on the same cases."""

    def __call__(self, train: PreparedCases, n_classes: int, seed: int) -> Answer:
        """Fit on training cases."""


def summaries(recipe: Recipe, *names: str, only: str = "") -> Features:
    """Plain summaries of some modalities, side by side.

    Args:
        recipe: How cases are prepared.
        names: Modalities; all where none is named.
        only: Of a record's summaries keep this one ("last"); all where empty.
    """
    wanted = names or recipe.names
    kept = {
        n: [not told.endswith(LEFT_OUT) and told.endswith(only) for told in recipe.preps[n].plain_names] for n in wanted
    }
    return lambda cases: np.hstack([cases.plain[name][:, kept[name]] for name in wanted]).astype(np.float64)


def covariates(*names: str, words: Sequence[str] = ()) -> Features:
    """Columns of the labels, which the model does not see: numbers as they are, each of `words` as 1 or 0."""

    def features(cases: PreparedCases) -> Float[Array, "n p"]:
        frame = pd.DataFrame([{n: case.covariates.get(n) for n in names} for case in cases.cases])
        columns = [frame[n].eq(word).to_numpy(float) for n in names for word in words]
        columns += [] if words else [pd.to_numeric(frame[n], errors="coerce").to_numpy(float) for n in names]
        return np.column_stack(columns)

    return features


def beside(*several: Features) -> Features:
    """Several sets of features, side by side."""
    return lambda cases: np.hstack([features(cases) for features in several])


def logistic(features: Features) -> Baseline:
    """Median for gaps, standardised, L2-penalised logistic regression with C = 1."""

    def fit(train: PreparedCases, n_classes: int, seed: int) -> Answer:
        model = make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True),
            StandardScaler(),
            LogisticRegression(max_iter=1000, random_state=seed),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features(train), train.labels)
        return _answer(model, features, n_classes)

    return fit


def boosting(features: Features, **settings: float) -> Baseline:
    """Histogram gradient boosting, scikit-learn's defaults but for `settings`."""

    def fit(train: PreparedCases, n_classes: int, seed: int) -> Answer:
        x = features(train)
        # A column without any value here is held constant: scikit-learn's binning fails on it.
        model = HistGradientBoostingClassifier(random_state=seed, early_stopping=False, **settings)
        return _answer(model.fit(np.where(np.isnan(x).all(axis=0), 0.0, x), train.labels), features, n_classes)

    return fit


def _answer(model: Any, features: Features, n_classes: int) -> Answer:  # noqa: ANN401  - scikit-learn ships no types
    assert list(model.classes_) == list(range(n_classes)), "each training part has every class"
    return lambda cases: np.asarray(model.predict_proba(features(cases)))
