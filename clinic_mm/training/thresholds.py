"""Fit the thresholds of prediction sets, and see what the sets show on cases that neither part has seen.

In:  calibrated probabilities of calibration rows: each case under its own pattern (native), and masked down to others.
Out: predict.conformal.Thresholds, with the coverage and size of cross-fitted sets of native cases beside.

Native rows count fully. Masked rows fill a pattern up to `FILL` patients and no further: under MAR or MNAR a masked row
is not a native row. A patient counts once, by native rows where there are any.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array

from clinic_mm.fusion.pool import Pattern
from clinic_mm.predict.conformal import (
    EDGE,
    FEWEST,
    LEVELS,
    Group,
    Guarantee,
    Shown,
    Thresholds,
    conformal_quantile,
    per_patient,
    stands,
)

FILL: Final = 300
"""Patients up to which masked rows fill a pattern: chosen on simulated cohorts of other seeds (docs/trust.md)."""
DIGITS: Final = 3


@dataclass(frozen=True, slots=True)
class Rows:
    """Calibration rows.

    Attributes:
        names: Modalities, in the order of the columns.
        probabilities: Calibrated, from parts that did not see the row.
        labels: True classes.
        patients: Whose row it is.
        present: The subset that was answered.
        native: Whether that is the case's own pattern.
        fold: By patient; what a fold shows comes from thresholds of the others.
    """

    names: tuple[str, ...]
    probabilities: Float[Array, "r C"]
    labels: Int[Array, " r"]
    patients: Array
    present: Bool[Array, "r M"]
    native: Bool[Array, " r"]
    fold: Int[Array, " r"]


@dataclass(frozen=True, slots=True)
class _Sorted:
    """Rows with what every group asks for, worked out once."""

    rows: Rows
    score: Float[Array, " r"]
    patterns: Bool[Array, "k M"]
    whose: Int[Array, " r"]
    patient: Int[Array, " r"]
    strata: tuple[Bool[Array, " r"], ...]
    levels: tuple[float, ...]

    def group(self, keep: Bool[Array, " r"]) -> Group:
        """Thresholds of some rows, one row for each stratum."""
        made = [self._one(np.flatnonzero(keep & stratum)) for stratum in self.strata]
        return Group(*(np.array(part) for part in zip(*made, strict=True)))

    def _one(self, at: Int[Array, " k"]) -> tuple[Float[Array, " L"], float, float]:
        weight, own = _weights(self.patient[at], self.rows.native[at])
        score = conformal_quantile(self.score[at], weight, np.asarray(self.levels))
        return _cut(score), float(weight.sum()), own

    def thresholds(self, keep: Bool[Array, " r"], level: float, guarantee: Guarantee) -> Thresholds:
        """Thresholds of every group of some rows that has enough patients."""
        size = self.rows.present.sum(axis=1)
        patterns = {self.name(k): self.group(keep & (self.whose == k)) for k in range(len(self.patterns))}
        sizes = {s: self.group(keep & (size == s)) for s in range(1, len(self.rows.names) + 1)}
        return Thresholds(
            self.rows.names,
            level,
            {p: g for p, g in patterns.items() if g.n.max() >= FEWEST - EDGE},
            {s: g for s, g in sizes.items() if g.n.max() >= FEWEST - EDGE},
            self.group(keep & self.rows.native),
            self.levels,
            guarantee=guarantee,
        )

    def name(self, k: int) -> Pattern:
        """Sorted names of one pattern."""
        return tuple(sorted(np.array(self.rows.names)[self.patterns[k]]))

    def shown(self, level: float) -> dict[Pattern, Shown]:
        """Coverage and size of the sets of native rows, each by thresholds of the other folds."""
        native = np.flatnonzero(self.rows.native)
        hit = np.zeros((len(native), len(self.levels)))
        size = np.zeros_like(hit)
        for k in np.unique(self.rows.fold):
            others, held = self.thresholds(self.rows.fold != k, level, "approximate"), self.rows.fold[native] == k
            for place, asked in enumerate(self.levels):
                inside = self._sets(others.at(asked), native[held])
                hit[held, place] = inside[np.arange(len(inside)), self.rows.labels[native[held]]]
                size[held, place] = inside.sum(axis=1)
        return {
            self.name(k): self._shown(native, self.whose[native] == k, hit, size) for k in np.unique(self.whose[native])
        }

    def _sets(self, thresholds: Thresholds, at: Int[Array, " k"]) -> Bool[Array, "k C"]:
        score = np.array([thresholds.of(self.name(k)).score for k in range(len(self.patterns))])
        return stands(self.rows.probabilities[at], score[self.whose[at]])

    def _shown(self, native: Int[Array, " n"], mine: Bool[Array, " n"], hit: Array, size: Array) -> Shown:
        strata = [mine & stratum[native] for stratum in self.strata]
        weights = [per_patient(self.patient[native[rows]]) for rows in strata]
        return Shown(
            n=np.array([float(w.sum()) for w in weights]),
            hits=np.array([w @ hit[rows] for w, rows in zip(weights, strata, strict=True)]),
            size=np.average(size[mine], axis=0, weights=per_patient(self.patient[native[mine]])),
        )


def fit_thresholds(
    rows: Rows, level: float, *, class_conditional: bool = False, guarantee: Guarantee = "approximate"
) -> Thresholds:
    """Thresholds at every level of the grid, and what they show.

    Args:
        rows: Calibration rows.
        level: The one that the task asks for; it joins the grid if it is not there.
        class_conditional: Whether every class gets thresholds of its own.
        guarantee: What the rows allow to be promised.
    """
    true = np.arange(len(rows.labels)), rows.labels
    patterns, whose = np.unique(rows.present, axis=0, return_inverse=True)
    classes = range(rows.probabilities.shape[1])
    strata = tuple(rows.labels == c for c in classes) if class_conditional else (np.ones(len(rows.labels), bool),)
    levels = tuple(sorted({*LEVELS, level}))
    patient = np.unique(rows.patients, return_inverse=True)[1]
    made = _Sorted(rows, 1.0 - rows.probabilities[true], patterns, whose.ravel(), patient, strata, levels)
    fitted = made.thresholds(np.ones(len(rows.labels), bool), level, guarantee)
    return Thresholds(
        fitted.names,
        level,
        fitted.pattern,
        fitted.size,
        fitted.every,
        levels,
        made.shown(level),
        guarantee,
    )


def _weights(patient: Int[Array, " k"], native: Bool[Array, " k"]) -> tuple[Float[Array, " k"], float]:
    """Weight of each row of one group, and how many patients have native ones."""
    if len(patient) == 0:
        return np.zeros(0), 0.0
    n_native, n_masked = np.bincount(patient, native), np.bincount(patient, ~native)
    own, filling = int((n_native > 0).sum()), (n_native == 0) & (n_masked > 0)
    share = np.clip((FILL - own) / max(int(filling.sum()), 1), 0.0, 1.0)
    per_native, per_masked = 1 / np.maximum(n_native, 1), share * filling / np.maximum(n_masked, 1)
    weight: Array = np.where(native, per_native[patient], per_masked[patient])
    return weight, float(own)


def _cut(score: Float[Array, " L"]) -> Float[Array, " L"]:
    """Scores with what is left to 1 cut to three digits: more would be one patient's own answer. Sets only grow."""
    left = np.maximum(1.0 - score, 0.0)
    step = 10.0 ** (np.floor(np.log10(np.maximum(left, 1e-12))) - DIGITS + 1)
    cut: Array = np.where(left > 0, 1.0 - np.floor(left / step + 1e-6) * step, 1.0)
    return cut
