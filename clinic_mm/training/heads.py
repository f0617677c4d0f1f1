"""Fit the plain heads: ridge-logistic regression and boosted trees on summaries of one modality.

In:  features [n, p] with NaN where a cell is missing, class numbers [n], and the patient of each row.
Out: a head of `predict.heads`, the same bits for the same rows, seed, machine and thread count.

Strength and size are chosen by NLL over inner folds of the rows given, split by patient. Nothing here scores a head
on rows that others will report on, and nothing reads a file.
"""

import warnings
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Float64, Int
from numpy import ndarray as Array
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits

from clinic_mm.errors import TaskError
from clinic_mm.predict.heads import FLOOR, Head, PriorHead, RidgeHead, TreeHead
from clinic_mm.training.bins import MOST_BINS, Bins
from clinic_mm.training.constant import varies

RIDGE_FOLDS: Final = 5
STRENGTHS: Final = (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0)
"""Inverse L2 penalty (scikit-learn's C) on standardised features, from hardly more than the prior to hardly any."""
DEFAULT_STRENGTH: Final = 1e-3
"""Used where there are too few patients of a class for inner folds."""
WORSE_BEFORE_STOP: Final = 2
CLIP_QUANTILES: Final = (0.005, 0.995)


class FitHead(Protocol):
    """What every fit function here takes."""

    def __call__(
        self,
        x: Float[Array, "n p"],
        y: Int[Array, " n"],
        n_classes: int,
        *,
        seed: int,
        groups: Array | None = None,
    ) -> Head:
        """Fit on all rows given; see `fit_ridge`."""


def fit_prior(
    x: Float[Array, "n p"], y: Int[Array, " n"], n_classes: int, *, seed: int, groups: Array | None = None
) -> PriorHead:
    """How common each class is, half a case added to each. Looks at neither features, seed nor groups."""
    del x, seed, groups
    counts = np.bincount(_labels(y, n_classes), minlength=n_classes) + 0.5
    return PriorHead(counts / counts.sum())


def fit_ridge(
    x: Float[Array, "n p"], y: Int[Array, " n"], n_classes: int, *, seed: int, groups: Array | None = None
) -> RidgeHead:
    """Fit an L2-penalised multinomial logistic regression.

    Args:
        x: Features, any scale, NaN where missing; p may exceed n many times.
        y: Class numbers 0 … C−1.
        n_classes: C.
        seed: Of the inner folds.
        groups: Patient of each row; each row its own patient if None.

    Raises:
        TaskError: If a class has no row, or rows and labels differ in number.

    Source: penalty chosen by cross-validated NLL, Hoerl & Kennard 1970 in the logistic form of le Cessie & van
    Houwelingen 1992 (doi 10.2307/2347628). With p > n the fit is made in the span of the rows, which is exact: the
    penalised optimum lies there (representer theorem).
    """
    check_rows(x, y, n_classes)
    empty = blank(x)
    z = empty.features(x)
    basis = None
    with threadpool_limits(1 if x.size < THREADS_FROM else None, user_api="blas"):
        if z.shape[1] > len(z):
            u, s, basis = np.linalg.svd(z, full_matrices=False)
            z = u * s
        strength = _best_strength(z, y, inner_folds(y, n_classes, groups, seed))
        model = _fit_logistic(_logistic(strength), z, y)
    coef = model.coef_ if basis is None else model.coef_ @ basis
    return RidgeHead(
        median=empty.median,
        low=empty.low,
        high=empty.high,
        flagged=empty.flagged,
        mean=empty.mean,
        scale=empty.scale,
        coef=coef.astype(np.float64),
        intercept=model.intercept_.astype(np.float64),
    )


def blank(x: Float[Array, "n p"]) -> RidgeHead:
    """A head that knows how to fill, clip and standardise, and has no weights yet. Looks at no label."""
    x = np.where(np.isfinite(x), x, np.nan).astype(np.float64)
    seen = ~np.isnan(x).all(axis=0)
    table = np.where(seen, x, 0.0)
    median, low, high = np.nanmedian(table, axis=0), np.nanmin(table, axis=0), np.nanmax(table, axis=0)
    few, quarter, most, nearly = np.nanquantile(table, (CLIP_QUANTILES[0], 0.25, 0.75, CLIP_QUANTILES[1]), axis=0)
    # A column that is nearly always the same (word counts, flags) keeps its rare values: they are all it has to say.
    broad = most > quarter
    low, high = np.where(broad, few, low), np.where(broad, nearly, high)
    flagged = _distinct_gaps(np.isnan(x))
    width = x.shape[1] + len(flagged)
    plain = RidgeHead(median, low, high, flagged, np.zeros(width), np.ones(width), np.zeros((1, width)), np.zeros(1))
    features = plain.features(x)
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(varies(scale, mean), scale, 1.0)
    return RidgeHead(median, low, high, flagged, mean, scale, plain.coef, plain.intercept)


def _distinct_gaps(missing: Array) -> Int[Array, " q"]:
    """Columns whose gaps say something: some rows but not all, and the first of those with the same gaps."""
    some = np.flatnonzero(missing.any(axis=0) & ~missing.all(axis=0))
    _, first = np.unique(np.packbits(missing[:, some], axis=0), axis=1, return_index=True)
    return np.sort(some[first]).astype(np.int64)


class Fold(NamedTuple):
    """Rows to fit on, and rows held out."""

    fit: Int[Array, " a"]
    held: Int[Array, " b"]


def inner_folds(
    y: Int[Array, " n"], n_classes: int, groups: Array | None, seed: int, most: int = RIDGE_FOLDS
) -> list[Fold]:
    """Inner folds by patient, as many as the rarest class has patients; only those that see every class in fitting."""
    patient = np.arange(len(y)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    k = min(most, *(len(np.unique(patient[y == c])) for c in range(n_classes)))
    if k < 2:
        return []
    split = StratifiedGroupKFold(k, shuffle=True, random_state=seed).split(np.zeros(len(y)), y, patient)
    folds = (Fold(fit, held) for fit, held in split)
    return [f for f in folds if len(f.held) and len(np.unique(y[f.fit])) == n_classes]


def _logistic(strength: float) -> Any:  # noqa: ANN401  - scikit-learn ships no types
    return LogisticRegression(C=strength, solver="lbfgs", max_iter=300, tol=1e-4, warm_start=True)


def _fit_logistic(model: Any, z: Float64[Array, "n f"], y: Int[Array, " n"]) -> Any:  # noqa: ANN401
    with warnings.catch_warnings():
        # With hardly any penalty the optimum may be far off; inner folds judge the point that was reached.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(z, y)


def _best_strength(z: Float64[Array, "n f"], y: Int[Array, " n"], folds: list[Fold]) -> float:
    """From strong to weak, each fit starting where the last ended, until the held-out NLL has clearly turned."""
    if not folds:
        return DEFAULT_STRENGTH
    models = [_logistic(STRENGTHS[0]) for _ in folds]
    losses: list[float] = []
    for strength in STRENGTHS:
        loss = 0.0
        for model, fold in zip(models, folds, strict=True):
            _fit_logistic(model.set_params(C=strength), z[fold.fit], y[fold.fit])
            loss += nll_sum(model.predict_proba(z[fold.held]), y[fold.held])
        losses.append(loss)
        if len(losses) - 1 - int(np.argmin(losses)) >= WORSE_BEFORE_STOP:
            break
    return STRENGTHS[int(np.argmin(losses))]


def nll_sum(p: Float64[Array, "n C"], y: Int[Array, " n"], weight: float | Float[Array, " n"] = 1.0) -> float:
    """Negative log-likelihood of the classes, added up."""
    return float(-(weight * np.log(np.maximum(p[np.arange(len(y)), y], FLOOR))).sum())


TREE_CANDIDATES: Final[tuple[Mapping[str, Any], ...]] = (
    {"max_leaf_nodes": 4, "min_samples_leaf": 20, "l2_regularization": 1.0, "max_features": 0.5},
    {"max_leaf_nodes": 15, "min_samples_leaf": 20, "l2_regularization": 10.0, "max_features": 0.3},
)
LEARNING_RATE: Final = 0.05
MOST_ROUNDS: Final = 300
ROUNDS_AT_ONCE: Final = 60
TREE_FOLDS: Final = 3
THREADS_FROM: Final = 1_000_000
"""Cells from which on a fit uses more than one thread."""
ONE_FOLD_FROM: Final = 1_000_000
"""Cells from which on one inner fold is enough to choose by: it holds thousands of rows."""
BAGS: Final = 3
"""Boosters that differ by the features they may ask for, averaged in the raw score and shipped as one head."""


def fit_trees(
    x: Float[Array, "n p"],
    y: Int[Array, " n"],
    n_classes: int,
    *,
    seed: int,
    groups: Array | None = None,
    weight: Float[Array, " n"] | None = None,
    copies: int = 1,
) -> TreeHead:
    """Fit gradient-boosted trees; missing cells go where training shows that they belong.

    Args:
        x: Features, any scale, NaN where missing.
        y: Class numbers 0 … C−1.
        n_classes: C.
        seed: Of the inner folds and of the features that a node may ask for.
        groups: Patient of each row; each row its own patient if None.
        weight: How much each row counts; equally if None.
        copies: Rows that tell of one case (see `training.gaps`): a leaf needs so many times more rows.

    Raises:
        TaskError: If a class has no row, or rows and labels differ in number.

    Source: Friedman 2001 (doi 10.1214/aos/1013203451), histograms after LightGBM (Ke 2017), by scikit-learn.
    """
    check_rows(x, y, n_classes)
    x = np.where(np.isfinite(x), x, np.nan).astype(np.float64)
    # On a small table threads wait for each other longer than they work: 25 times slower beside a busy neighbour.
    with threadpool_limits(1 if x.size < THREADS_FROM else None, user_api="openmp"):
        folds = inner_folds(y, n_classes, groups, seed, TREE_FOLDS)[: 1 if x.size > ONE_FOLD_FROM else None]
        bins = Bins.of(x)
        table = _Table(bins.numbers(x), y, np.ones(len(y)) if weight is None else weight, copies)
        settings, rounds = _best_trees(table, folds, seed)
        return export_trees([table.grown(table.boosted(settings, rounds, seed + bag)) for bag in range(BAGS)], bins)


class _Table(NamedTuple):
    """What trees are grown on: bin numbers, classes, weights."""

    x: Float64[Array, "n p"]
    y: Int[Array, " n"]
    weight: Float[Array, " n"]
    copies: int

    def boosted(self, settings: Mapping[str, Any], rounds: int, seed: int) -> Any:  # noqa: ANN401  - no types there
        """A booster that is not fitted yet."""
        leaf = {"min_samples_leaf": settings["min_samples_leaf"] * self.copies}
        return HistGradientBoostingClassifier(
            learning_rate=LEARNING_RATE,
            max_iter=rounds,
            max_bins=MOST_BINS,
            early_stopping=False,
            warm_start=True,
            random_state=seed,
            **{**settings, **leaf},
        )

    def grown(self, model: Any, rows: Array | slice = slice(None)) -> Any:  # noqa: ANN401
        """Fit, with columns that have no value here held constant: scikit-learn's binning fails on them."""
        x = self.x[rows]
        return model.fit(np.where(np.isnan(x).all(axis=0), 0.0, x), self.y[rows], sample_weight=self.weight[rows])


def _best_trees(table: _Table, folds: list[Fold], seed: int) -> tuple[Mapping[str, Any], int]:
    """The candidate and the number of rounds with the least held-out NLL."""
    if not folds:
        return TREE_CANDIDATES[0], ROUNDS_AT_ONCE
    curves = [_held_out_curve(candidate, table, folds, seed) for candidate in TREE_CANDIDATES]
    best = int(np.argmin([curve.min() for curve in curves]))
    return TREE_CANDIDATES[best], int(curves[best].argmin()) + 1


def _held_out_curve(
    settings: Mapping[str, Any], table: _Table, folds: list[Fold], seed: int
) -> Float64[Array, " rounds"]:
    """Held-out NLL after each round, up to where the last rounds no longer brought the least."""
    models = [table.boosted(settings, 0, seed) for _ in folds]
    curve = np.zeros(0)
    for rounds in range(ROUNDS_AT_ONCE, MOST_ROUNDS + 1, ROUNDS_AT_ONCE):
        curve = np.zeros(rounds)
        for model, fold in zip(models, folds, strict=True):
            table.grown(model.set_params(max_iter=rounds), fold.fit)
            y, weight = table.y[fold.held], table.weight[fold.held]
            curve += [nll_sum(p, y, weight) for p in model.staged_predict_proba(table.x[fold.held])]
        if curve.argmin() < rounds - ROUNDS_AT_ONCE:
            break
    return curve


def export_trees(models: list[Any], bins: Bins | None = None) -> TreeHead:
    """Node arrays of one or more fitted scikit-learn boosters; several are averaged in the raw score.

    Args:
        models: `HistGradientBoostingClassifier`s fitted on the same columns and classes, numbers only.
        bins: What turned features into the numbers that they were fitted on; None where those are the features.
    """
    share = 1.0 / len(models)
    trees = [(k, tree.nodes) for model in models for rnd in model._predictors for k, tree in enumerate(rnd)]
    sizes = np.array([len(nodes) for _, nodes in trees])
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32)
    nodes = np.concatenate([nodes for _, nodes in trees])
    bounds = nodes["num_threshold"].astype(np.float64)
    thresholds = bounds if bins is None else bins.threshold(nodes["feature_idx"], bounds)
    own, shift, leaf = np.arange(len(nodes)), np.repeat(roots, sizes), nodes["is_leaf"] == 1
    return TreeHead(
        baseline=np.mean([model._baseline_prediction.ravel() for model in models], axis=0),
        roots=roots,
        classes=np.array([k for k, _ in trees], dtype=np.int32),
        depth=np.array([nodes["depth"].max()], dtype=np.int32),
        n_features=np.array([models[0].n_features_in_], dtype=np.int32),
        feature=np.where(leaf, 0, nodes["feature_idx"]).astype(np.int32),
        threshold=np.where(leaf, 0.0, thresholds),
        missing_left=nodes["missing_go_to_left"].astype(np.uint8),
        left=np.where(leaf, own, nodes["left"] + shift).astype(np.int32),
        right=np.where(leaf, own, nodes["right"] + shift).astype(np.int32),
        value=np.where(leaf, nodes["value"] * share, 0.0),
        cover=nodes["count"].astype(np.float64),
    )


CANDIDATES: Final[Mapping[str, FitHead]] = {"ridge": fit_ridge, "trees": fit_trees}
"""The heads among which out-of-fold NLL chooses."""


def _labels(y: Int[Array, " n"], n_classes: int) -> Int[Array, " n"]:
    y = np.asarray(y)
    if len(y) == 0 or y.min() < 0 or y.max() >= n_classes:
        raise TaskError(f"Labels must be 0 to {n_classes - 1}", "labels", "Compare the task's classes with its labels")
    return y


def check_rows(x: Float[Array, "n p"], y: Int[Array, " n"], n_classes: int) -> None:
    """Refuse features and labels that nothing can be fitted on.

    Raises:
        TaskError: If a class has no row, or rows and labels differ in number.
    """
    if x.ndim != 2 or len(x) != len(y) or x.shape[1] == 0:
        what = f"Features of shape {list(x.shape)} do not fit {len(y)} labels"
        raise TaskError(what, "features", "Give one row of at least one feature per label")
    counts = np.bincount(_labels(y, n_classes), minlength=n_classes)
    if (counts == 0).any():
        lacking = ", ".join(str(c) for c in np.flatnonzero(counts == 0))
        mend = "Add cases of that class, drop it from the task's classes, or use fewer folds"
        raise TaskError(f"No training case has class {lacking}", "labels", mend)
