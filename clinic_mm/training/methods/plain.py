"""The plain models that every way of joining must be worth its trouble against, as methods of their own.

In:  a lesson. Out: `predict.headed.Headed` on the plain summaries of all modalities side by side, with presence flags.
scikit-learn with default settings, on the cases as they are: no choice by any score, no dropout, so that nothing is
chosen too well. The head says what scikit-learn's own model says, and travels as arrays.

Source: gradient boosting, Friedman 2001, doi:10.1214/aos/1013203451; logistic regression, Cox 1958,
doi:10.1111/j.2517-6161.1958.tb00292.x.
"""

import warnings
from collections.abc import Mapping
from typing import Final

import numpy as np
from jaxtyping import Float, Float64, Int
from numpy import ndarray as Array
from pydantic import JsonValue
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from clinic_mm.predict.headed import Headed, table
from clinic_mm.predict.heads import RidgeHead
from clinic_mm.training.constant import varies
from clinic_mm.training.heads import export_trees
from clinic_mm.training.methods.base import Lesson
from clinic_mm.training.methods.late import labelled

ANY: Final = 1e300
"""No value is too great to be believed."""


def logistic(lesson: Lesson, settings: Mapping[str, JsonValue]) -> Headed:
    """Median for gaps, standardised, L2-penalised logistic regression with C = 1."""
    del settings
    x, y = _taught(lesson)
    blank = _standardiser(x)
    model = LogisticRegression(max_iter=1000)
    with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(blank.features(x), y)
    head = RidgeHead(
        *(blank.median, blank.low, blank.high, blank.flagged, blank.mean, blank.scale), model.coef_, model.intercept_
    )
    return Headed(lesson.heard.names, lesson.prior, "plain", head)


def boosting(lesson: Lesson, settings: Mapping[str, JsonValue]) -> Headed:
    """Histogram gradient boosting; a missing cell goes where training shows that it belongs."""
    del settings
    x, y = _taught(lesson)
    # A column without any value here is held constant: scikit-learn's binning fails on it.
    filled = np.where(np.isnan(x).all(axis=0), 0.0, x)
    model = HistGradientBoostingClassifier(random_state=lesson.seed, early_stopping=False)
    with threadpool_limits(1, user_api="openmp"):
        model.fit(filled, y)
    return Headed(lesson.heard.names, lesson.prior, "plain", export_trees([model]))


def _taught(lesson: Lesson) -> tuple[Float64[Array, "k q"], Int[Array, " k"]]:
    rows = labelled(lesson)
    x = table("plain", lesson.heard, lesson.prior, rows, lesson.heard.present[rows]).astype(np.float64)
    return np.where(np.isfinite(x), x, np.nan), lesson.labels[rows]


def _standardiser(x: Float[Array, "k q"]) -> RidgeHead:
    """A head that knows what stands in for gaps and how features are scaled, and nothing else yet."""
    p = x.shape[1]
    empty = np.isnan(x).all(axis=0)
    median = np.nanmedian(np.where(empty, 0.0, x), axis=0)
    filled = np.where(np.isnan(x), median, x)
    scale = filled.std(axis=0)
    scale = np.where(varies(scale, median), scale, 1.0)
    return RidgeHead(
        median=median,
        low=np.full(p, -ANY),
        high=np.full(p, ANY),
        flagged=np.zeros(0, dtype=np.int64),
        mean=filled.mean(axis=0),
        scale=scale,
        coef=np.zeros((1, p)),
        intercept=np.zeros(1),
    )
