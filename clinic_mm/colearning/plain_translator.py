"""Translate plain summaries: what would the summaries of one modality be, given those of others? And how well is that?

In:  plain summaries of cases that have both sides. Out: a ridge regression for each summary; R² on patients not fitted.

    R² = 1 - sum (x - x^)² / sum (x - mean x)²        for one summary, over cases that have it
    the comparator says the mean of the training cases for everyone: R² is 0, or a little below

Gaps of the source are its median with a flag; gaps of the target take no part. What comes out tells how much modalities
know of each other, and is a guess for reading; it is never evidence.

Source: ridge regression, Hoerl & Kennard 1970, doi:10.1080/00401706.1970.10488634.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array

from clinic_mm.cohort.split import folds
from clinic_mm.prep.batch import PreparedCases, Recipe

PENALTIES: Final = (1.0, 10.0, 100.0, 1000.0, 10_000.0)
"""Tried on a fifth of the training cases, for each summary."""
CLIP: Final = 5.0
FEWEST_CASES: Final = 40
"""With both modalities, below which nothing is fitted."""
FEWEST_KNOWN: Final = 20
MOST_INPUTS: Final = 512
"""Summaries of a source beyond which it is first taken down to so many principal components."""
COLUMNS: Final = ("source", "target", "n_cases", "summaries", "r2", "r2_mean", "share_above", "best", "r2_best")


@dataclass(frozen=True, slots=True)
class Inputs:
    """How summaries of the source become regressors: standardised, clipped, gaps 0, flags for gaps, components."""

    centre: Float[Array, " p"]
    spread: Float[Array, " p"]
    flagged: Int[Array, " q"]
    components: Float[Array, "f c"]

    def __call__(self, plain: Float[Array, "n p"]) -> Float[Array, "n f"]:
        """Regressors with a constant."""
        known = np.isfinite(plain)
        cells = np.where(known, np.clip((plain - self.centre) / self.spread, -CLIP, CLIP), 0.0)
        x = np.hstack([cells, ~known[:, self.flagged]])
        x = x @ self.components if len(self.components) else x
        return np.hstack([x, np.ones((len(x), 1))])


@dataclass(frozen=True, slots=True)
class PlainTranslator:
    """A fitted translator: regressors of the source, weights for each summary of the target."""

    inputs: Inputs
    weights: Float[Array, "f t"]

    def __call__(self, source: Float[Array, "n p"]) -> Float[Array, "n t"]:
        """Summaries of the target as guessed; every cell is a number."""
        guessed: Array = self.inputs(np.asarray(source, np.float64)) @ self.weights
        return guessed


def fit_translator(source: Float[Array, "n p"], target: Float[Array, "n t"], seed: int = 0) -> PlainTranslator:
    """Fit on cases that have both modalities.

    Args:
        source: Plain summaries, NaN where missing.
        target: The same of the other modality; a summary that fewer than 20 cases have is guessed as 0.
        seed: Of the fifth on which the penalties are chosen.
    """
    inputs = _inputs(np.asarray(source, np.float64))
    x, y = inputs(np.asarray(source, np.float64)), np.asarray(target, np.float64)
    known = np.isfinite(y)
    away = np.random.default_rng(seed).random(len(x)) < 0.2
    weights = np.zeros((x.shape[1], y.shape[1]))
    # Summaries of one parameter are known in the same cases: one factorisation serves them all.
    masks, group = np.unique(known, axis=1, return_inverse=True)
    for g, mask in enumerate(masks.T):
        columns = np.flatnonzero(group.ravel() == g)
        if (mask & ~away).sum() >= FEWEST_KNOWN and (mask & away).any():
            weights[:, columns] = _ridge(x, y[:, columns], mask, away)
    return PlainTranslator(inputs, weights)


def _inputs(source: Float[Array, "n p"]) -> Inputs:
    known = np.isfinite(source)
    some = known.any(axis=0)
    filled = np.where(some, np.where(known, source, np.nan), 0.0)
    centre = np.nanmedian(filled, axis=0)
    spread = np.nanstd(filled, axis=0)
    share = known.mean(axis=0)
    flagged = np.flatnonzero((share > 0.01) & (share < 0.99))
    raw = Inputs(centre, np.where(spread > 1e-9, spread, 1.0), flagged, np.zeros((0, 0)))
    x = raw(source)[:, :-1]
    if x.shape[1] <= MOST_INPUTS:
        return raw
    _, _, right = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    return Inputs(raw.centre, raw.spread, raw.flagged, right[:MOST_INPUTS].T)


def _ridge(
    x: Float[Array, "n f"], y: Float[Array, "n t"], mask: Bool[Array, " n"], away: Bool[Array, " n"]
) -> Float[Array, "f t"]:
    """Weights with the penalty that serves the cases put away best, for each summary; then fitted on all."""
    fit, judge = mask & ~away, mask & away
    missed = np.stack([((x[judge] @ w - y[judge]) ** 2).sum(axis=0) for w in _paths(x[fit], y[fit])])
    whole = _paths(x[mask], y[mask])
    best = missed.argmin(axis=0)
    return np.stack([whole[best[t]][:, t] for t in range(y.shape[1])], axis=1)


def _paths(x: Float[Array, "n f"], y: Float[Array, "n t"]) -> list[Float[Array, "f t"]]:
    """Weights at each penalty; the constant, the last regressor, is not penalised."""
    mean_x, mean_y = x[:, :-1].mean(axis=0), y.mean(axis=0)
    centred = x[:, :-1] - mean_x
    values, vectors = np.linalg.eigh(centred.T @ centred)
    turned = vectors.T @ (centred.T @ (y - mean_y))
    found = []
    for penalty in PENALTIES:
        w = vectors @ (turned / (np.maximum(values, 0.0) + penalty)[:, None])
        found.append(np.vstack([w, mean_y - mean_x @ w]))
    return found


def translations(prepared: PreparedCases, recipe: Recipe, *, k: int = 5, seed: int = 0) -> pd.DataFrame:
    """How well each modality can be told from each other one, and from all others together, out of fold by patient.

    Returns:
        One row per direction: source ("others" for all other modalities), target, n_cases with both, summaries scored,
        mean R² over them, the same of the mean baseline, the share of summaries above that baseline by 0.05, and the
        summary that is told best. NaN where fewer than 40 cases have both.
    """
    rows = []
    for target in prepared.names:
        others = [name for name in prepared.names if name != target]
        sources = {**{name: [name] for name in others}, **({"others": others} if len(others) > 1 else {})}
        rows += [_direction(prepared, recipe, told, of, target, k, seed) for told, of in sources.items()]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _direction(
    prepared: PreparedCases, recipe: Recipe, told: str, sources: Sequence[str], target: str, k: int, seed: int
) -> Mapping[str, object]:
    """One row of `translations`; of several sources a case needs any."""
    has = {name: prepared.present[:, column] for column, name in enumerate(prepared.names)}
    both = np.flatnonzero(np.any([has[name] for name in sources], axis=0) & has[target])
    row: dict[str, object] = {"source": told, "target": target, "n_cases": len(both)}
    patients = prepared.patients[both]
    if len(both) < FEWEST_CASES or len(np.unique(patients)) < k:
        return row
    x = np.hstack([prepared.plain[name][both] for name in sources]).astype(np.float64)
    y = np.where(np.isfinite(prepared.plain[target][both]), prepared.plain[target][both], np.nan).astype(np.float64)
    guessed, mean = np.zeros_like(y), np.zeros_like(y)
    fold = folds(patients.tolist(), [None] * len(both), k, seed)
    for held in (fold == part for part in range(k)):
        guessed[held] = fit_translator(x[~held], y[~held], seed)(x[held])
        known = np.isfinite(y[~held])
        mean[held] = np.where(known, y[~held], 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    r2, of_mean = r_squared(y, guessed), r_squared(y, mean)
    scored = np.isfinite(r2)
    if not scored.any():
        return row
    best = int(np.nanargmax(r2))
    return row | {
        "summaries": int(scored.sum()),
        "r2": float(r2[scored].mean()),
        "r2_mean": float(of_mean[scored].mean()),
        "share_above": float((r2[scored] > of_mean[scored] + 0.05).mean()),
        "best": recipe.preps[target].plain_names[best],
        "r2_best": float(r2[best]),
    }


def r_squared(y: Float[Array, "n t"], guessed: Float[Array, "n t"]) -> Float[Array, " t"]:
    """R² of each summary over the cases that have it; NaN where fewer than 20 do or all have the same."""
    known = np.isfinite(y)
    n = known.sum(axis=0)
    filled = np.where(known, y, 0.0)
    mean = filled.sum(axis=0) / np.maximum(n, 1)
    total = (np.where(known, y - mean, 0.0) ** 2).sum(axis=0)
    missed = (np.where(known, filled - guessed, 0.0) ** 2).sum(axis=0)
    enough = (n >= FEWEST_KNOWN) & (total > 1e-9 * np.maximum(1.0, mean**2) * n)
    out: Array = np.where(enough, 1 - missed / np.where(total > 0, total, 1.0), np.nan)
    return out
