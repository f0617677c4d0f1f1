"""Fit a linear support vector machine on everything side by side, with Platt's probabilities.

In:  a lesson. Out: `predict.headed.Headed` on the plain summaries of all modalities, with presence flags.

What stands for an absent modality: the training median of each summary (0 after scaling), and its flag. The penalty is
chosen by the NLL of probabilities out of inner folds by patient. A linear machine followed by a logistic regression on
its decision values is itself linear in the summaries, so it travels as any linear head does. More than two classes: one
machine each against the rest, and one multinomial regression on all their decision values.

Source: Cortes & Vapnik 1995, doi:10.1007/BF00994018; probabilities by Platt 1999 as Lin, Lin & Weng 2007,
doi:10.1007/s10994-007-5018-6; fitted by LIBLINEAR, Fan et al. 2008, JMLR 9:1871-1874.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from jaxtyping import Float64, Int
from numpy import ndarray as Array
from pydantic import JsonValue
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from clinic_mm.predict.headed import Headed, table
from clinic_mm.training.heads import Fold, blank, check_rows, inner_folds, nll_sum
from clinic_mm.training.methods.base import Lesson
from clinic_mm.training.methods.late import labelled

PENALTIES: Final = (1e-4, 1e-3, 1e-2, 1e-1)
"""Tried for scikit-learn's C on standardised summaries, from strong to weak, until one serves unseen rows worse."""
FOLDS: Final = 3
PLATT: Final = 1e3
"""Inverse penalty of the regression on decision values: hardly any, yet finite where they part the classes."""


def fit(lesson: Lesson, settings: Mapping[str, JsonValue]) -> Headed:
    """Fit machine and probabilities.

    Raises:
        TaskError: If a class has no case.
    """
    del settings
    rows = labelled(lesson)
    x = table("plain", lesson.heard, lesson.prior, rows, lesson.heard.present[rows])
    y, n_classes = lesson.labels[rows], len(lesson.prior)
    check_rows(x, y, n_classes)
    empty = blank(x)
    with threadpool_limits(1, user_api="blas"):
        folds = inner_folds(y, n_classes, lesson.patients[rows], lesson.seed, FOLDS)
        weights, bias = svm_weights(empty.features(x), y, folds)
    return Headed(lesson.heard.names, lesson.prior, "plain", replace(empty, coef=weights, intercept=bias))


def svm_weights(
    z: Float64[Array, "n f"], y: Int[Array, " n"], folds: list[Fold]
) -> tuple[Float64[Array, "k f"], Float64[Array, " k"]]:
    """Weights and bias of the log-odds (two classes) or logits: machine, then Platt's regression on unseen values.

    Args:
        z: Standardised features.
        y: Classes.
        folds: Where there are none, the strongest penalty is taken and the regression sees fitted values.
    """
    best = np.inf
    for penalty in PENALTIES[: None if folds else 1]:
        values, rows = _unseen(z, y, penalty, folds)
        platt = LogisticRegression(C=PLATT, max_iter=1000).fit(values, y[rows])
        loss = nll_sum(platt.predict_proba(values), y[rows])
        if loss >= best:
            break
        best, chosen = loss, (penalty, platt)
    machine, platt = _machine(chosen[0]).fit(z, y), chosen[1]
    return platt.coef_ @ machine.coef_, platt.coef_ @ machine.intercept_ + platt.intercept_


def _unseen(
    z: Float64[Array, "n f"], y: Int[Array, " n"], penalty: float, folds: list[Fold]
) -> tuple[Float64[Array, "r k"], Int[Array, " r"]]:
    """Decision values of rows that the machine did not see, and which rows those are."""
    everything = np.arange(len(y))
    pairs = [(f.fit, f.held) for f in folds] or [(everything, everything)]
    values = [_machine(penalty).fit(z[fit], y[fit]).decision_function(z[held]) for fit, held in pairs]
    held = np.concatenate([held for _, held in pairs])
    return np.concatenate(values).reshape(len(held), -1), held


def _machine(penalty: float) -> Any:  # noqa: ANN401  - scikit-learn ships no types
    return LinearSVC(C=penalty, dual=True, max_iter=2000, random_state=0)
