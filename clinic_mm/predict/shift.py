"""Prediction sets for a cohort unlike the training cohort: calibration cases weighted by how likely they are there.

In:  calibration cases as the model kept them (PATIENT-DERIVED, only where the task asks for it), the features of the
new cohort's cases. Out: `Shift`: a likelihood ratio for every case, thresholds by it, and whether the promise is void.

    w(x) = odds that x is of the new cohort, from a penalised logistic model of old against new, at most `CLIP`
    threshold of case x = least score s with sum of w_i over scores up to s >= level * (sum of all w_i + w(x))

It holds under covariate shift: other patients come, but what evidence says of the outcome has stayed. Another
prevalence for the same evidence, another scanner or another meaning of the label is not that: recalibrate then.

Source: Tibshirani, Foygel Barber, Candes & Ramdas 2019, arXiv 1904.06019, corollary 1; effective n, Kish 1965.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from numpy import ndarray as Array
from scipy.stats import rankdata

from clinic_mm.errors import InputError
from clinic_mm.predict.conformal import FEWEST, Rule, Source, conformal_quantile, per_patient

CLIP: Final = 20.0
"""Most that a case weighs, the mean over the calibration cases being 1."""
FEWEST_NEW: Final = 50
"""New cases below which no ratio can be learnt."""
FEWEST_EFFECTIVE: Final = 100
"""Effective calibration patients below which the promise is void."""
MOST_AUROC: Final = 0.95
"""Of old against new, on cases not fitted on: beyond it the two hardly overlap."""
PENALTIES: Final = (1.0, 10.0, 100.0, 1000.0)
FOLDS: Final = 5
STEPS: Final = 25


@dataclass(frozen=True, slots=True)
class CalibrationCases:
    """What is kept of every calibration case with all that it had. PATIENT-DERIVED: rows are patients.

    Attributes:
        features: See `features_of`.
        present: Its pattern.
        score: 1 - the out-of-fold probability of its true class.
        label: Its class.
        patient: A number per patient, of this file alone.
    """

    features: Float[Array, "n q"]
    present: Bool[Array, "n M"]
    score: Float[Array, " n"]
    label: Int[Array, " n"]
    patient: Int[Array, " n"]

    def to_arrays(self) -> dict[str, Array]:
        """For a safetensors file."""
        return {
            "features": self.features.astype(np.float32),
            "present": self.present.astype(np.uint8),
            "score": self.score.astype(np.float64),
            "label": self.label.astype(np.int64),
            "patient": self.patient.astype(np.int64),
        }


def calibration_cases_from(arrays: Mapping[str, Array]) -> CalibrationCases:
    """What `to_arrays` gave."""
    return CalibrationCases(
        arrays["features"].astype(np.float64),
        arrays["present"].astype(bool),
        arrays["score"],
        arrays["label"],
        arrays["patient"],
    )


@dataclass(frozen=True, slots=True)
class Shift:
    """How a new cohort differs from the calibration cases, and thresholds that make up for it.

    Attributes:
        cases: The calibration cases.
        weight: Likelihood ratio of each, its mean 1 before clipping.
        ratio: The logistic model that the ratios come from.
        scale: What its odds are divided by.
        auroc: Old against new, on cases not fitted on: 0.5 is no shift that could be seen.
        n_new: Cases of the new cohort that it was learnt from.
        class_conditional: Whether every class gets its threshold.
    """

    cases: CalibrationCases
    weight: Float[Array, " n"]
    ratio: "Logistic"
    scale: float
    auroc: float
    n_new: int
    class_conditional: bool = False

    @property
    def effective(self) -> float:
        """Calibration patients that the weights are worth."""
        return effective_n(self.weight, self.cases.patient)

    @property
    def void(self) -> str:
        """Why the promise does not hold on the new cohort, "" where nothing speaks against it."""
        if self.n_new < FEWEST_NEW:
            return f"only {self.n_new} cases of the new cohort to learn from, fewer than {FEWEST_NEW}"
        if self.auroc > MOST_AUROC:
            return f"its cases are told from the training cases with AUROC {self.auroc:.2f}: the two hardly overlap"
        if self.effective < FEWEST_EFFECTIVE:
            return f"the training cases are worth {self.effective:.0f} patients there, fewer than {FEWEST_EFFECTIVE}"
        return ""

    def weight_of(self, features: Float[Array, "n q"]) -> Float[Array, " n"]:
        """Likelihood ratio of new cases."""
        weight: Array = np.minimum(np.exp(self.ratio.log_odds(features)) / self.scale, CLIP)
        return weight

    def rules(self, features: Float[Array, "n q"], present: Bool[Array, "n M"], level: float) -> list[Rule]:
        """What each new case is judged by: `n` is the effective number of calibration patients."""
        beyond = self.weight_of(features)
        patterns, whose = np.unique(present, axis=0, return_inverse=True)
        out: dict[int, Rule] = {}
        for k, pattern in enumerate(patterns):
            cases = np.flatnonzero(whose.ravel() == k)
            groups = [self._group(pattern, stratum) for stratum in self._strata()]
            score = np.column_stack([self._scores(group.rows, level, beyond[cases]) for group in groups])
            n, own = int(min(g.n for g in groups)), int(min(g.own for g in groups))
            source: Source = max((g.source for g in groups), key=("pattern", "size", "all").index)
            out |= {int(case): Rule(row, n, own, source) for case, row in zip(cases, score, strict=True)}
        return [out[index] for index in range(len(present))]

    def _strata(self) -> list[Bool[Array, " n"]]:
        label = self.cases.label
        return [label == c for c in np.unique(label)] if self.class_conditional else [np.ones(len(label), bool)]

    def _group(self, pattern: Bool[Array, " M"], stratum: Bool[Array, " n"]) -> "_Weighed":
        """The finest group that is worth enough patients there."""
        same = (self.cases.present == pattern).all(axis=1)
        sized = self.cases.present.sum(axis=1) == pattern.sum()
        n = [self._worth(stratum & rows) for rows in (same, sized, True)]
        if n[0] >= FEWEST:
            return _Weighed(stratum & same, n[0], n[0], "pattern")
        if n[1] >= FEWEST:
            return _Weighed(stratum & sized, n[1], n[0], "size")
        return _Weighed(stratum, n[2], n[0], "all")

    def _worth(self, rows: Bool[Array, " n"]) -> float:
        return effective_n(self.weight[rows], self.cases.patient[rows])

    def _scores(self, rows: Bool[Array, " n"], level: float, beyond: Float[Array, " q"]) -> Float[Array, " q"]:
        weight = self.weight[rows] * per_patient(self.cases.patient[rows])
        return conformal_quantile(self.cases.score[rows], weight, level, beyond)


class _Weighed(NamedTuple):
    """Calibration cases of one group, what they are worth, and what those with exactly the pattern are worth."""

    rows: Bool[Array, " n"]
    n: float
    own: float
    source: Source


def fit_shift(cases: CalibrationCases, new: Float[Array, "n q"], patients: Array, *, class_conditional: bool) -> Shift:
    """Learn the likelihood ratio of a new cohort.

    Args:
        cases: What the model kept.
        new: Features of the new cohort's cases; their outcome is not needed.
        patients: Whose they are.
        class_conditional: Whether every class gets its threshold.

    Raises:
        InputError: If the cohort has no case.
    """
    if not len(new):
        raise InputError("The new cohort has no case with evidence", "shift", "Screen it without --shift weighted")
    x = np.vstack([cases.features, new])
    y = np.repeat([0.0, 1.0], [len(cases.features), len(new)])
    whose = np.concatenate([cases.patient, cases.patient.max() + 1 + np.unique(patients, return_inverse=True)[1]])
    fold = _folds(whose)
    tried = [_crossed(x, y, fold, penalty) for penalty in PENALTIES]
    best = int(np.argmin([_loss(odds, y) for odds in tried]))
    ratio = fit_logistic(x, y, PENALTIES[best])
    odds = np.exp(ratio.log_odds(cases.features))
    scale = float(odds.mean())
    weight = np.minimum(odds / scale, CLIP)
    return Shift(cases, weight, ratio, scale, auroc_of(tried[best], y), len(new), class_conditional)


def features_of(
    present: Bool[Array, "n M"],
    gist: list[Float[Array, "n g"]],
    alone: Float[Array, "n M C"],
    whole: Float[Array, "n C"],
) -> Float[Array, "n q"]:
    """What old and new cases are told apart by: presence, the gist of each modality's summaries, what was answered.

    Answers count with their squares: a place that clear cases never come to differs in the spread of its answers.

    Args:
        present: Which modality speaks.
        gist: Of each modality, its place among the training cases (`predict.drift`); what is absent is not looked at.
        alone: Calibrated probabilities that each present modality gives alone.
        whole: Calibrated probabilities of all together.
    """
    odds = np.where(present[:, :, None], _log_odds(alone), 0.0)
    together = _log_odds(whole)
    parts = [np.where(present[:, [m]], np.column_stack([one, odds[:, m]]), 0.0) for m, one in enumerate(gist)]
    return np.column_stack([present.astype(float), *parts, np.square(odds).sum(axis=2), together, np.square(together)])


def _log_odds(p: Float[Array, "... C"]) -> Float[Array, "... k"]:
    """Of every class but the first against the first."""
    logs = np.log(np.clip(p, 1e-6, 1.0))
    odds: Array = (logs - logs[..., :1])[..., 1:]
    return odds


@dataclass(frozen=True, slots=True)
class Logistic:
    """A logistic model on standardised features."""

    mean: Float64[Array, " q"]
    spread: Float64[Array, " q"]
    coef: Float64[Array, " q"]
    intercept: float

    def log_odds(self, x: Float[Array, "n q"]) -> Float64[Array, " n"]:
        """Log-odds of the second class."""
        odds: Array = np.clip((x - self.mean) / self.spread @ self.coef + self.intercept, -30.0, 30.0)
        return odds


def fit_logistic(x: Float[Array, "n q"], y: Float[Array, " n"], penalty: float) -> Logistic:
    """Ridge logistic regression by Newton's method; the intercept is not penalised.

    Source: le Cessie & van Houwelingen 1992, doi:10.2307/2347628.
    """
    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 1e-9, spread, 1.0)
    z = np.column_stack([np.ones(len(x)), (x - mean) / spread])
    ridge = penalty * np.eye(z.shape[1])
    ridge[0, 0] = 1e-9
    beta = np.zeros(z.shape[1])
    for _ in range(STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(z @ beta, -30.0, 30.0)))
        slope = z.T @ (y - p) - ridge @ beta
        curve = (z * (p * (1 - p))[:, None]).T @ z + ridge
        step = np.linalg.solve(curve, slope)
        # A long first step may overshoot: never further than 4 standardised units at once.
        beta += step * min(1.0, 4.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-6:
            break
    return Logistic(mean, spread, beta[1:], float(beta[0]))


def effective_n(weight: Float[Array, " n"], patients: Array) -> float:
    """Patients that weighted ones are worth: (sum w)^2 / sum w^2, a patient's cases averaged."""
    if not len(weight):
        return 0.0
    _, whose, count = np.unique(patients, return_inverse=True, return_counts=True)
    mean = np.bincount(whose, weight) / count
    return float(mean.sum() ** 2 / max(np.square(mean).sum(), 1e-300))


def auroc_of(score: Float[Array, " n"], y: Float[Array, " n"]) -> float:
    """Chance that a case of the second class scores higher, ties half (Mann-Whitney)."""
    ranks, positive = rankdata(score), y > 0
    n1, n0 = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def _crossed(x: Float[Array, "n q"], y: Float[Array, " n"], fold: Int[Array, " n"], penalty: float) -> Array:
    out = np.zeros(len(y))
    for k in range(FOLDS):
        held = fold == k
        if held.any() and len(np.unique(y[~held])) == 2:
            out[held] = fit_logistic(x[~held], y[~held], penalty).log_odds(x[held])
    return out


def _loss(odds: Float[Array, " n"], y: Float[Array, " n"]) -> float:
    return float(np.logaddexp(0.0, np.where(y > 0, -odds, odds)).mean())


def _folds(patient: Int[Array, " n"]) -> Int[Array, " n"]:
    """Dealt by patient, the same for the same patients."""
    _, whose = np.unique(patient, return_inverse=True)
    dealt: Array = np.random.default_rng(0).permutation(int(whose.max()) + 1)[whose] % FOLDS
    return dealt
