"""The second level: pool, residual and temperatures, each cross-fitted again by patient (METHODS §2).

In:  out-of-fold opinions of the experts, what each fold's networks said. Out: the fitted second level, and for every
subset of every training case a calibrated probability from parts that did not see it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array

from clinic_mm.encoders.run import Spoken
from clinic_mm.fusion.heard import Heard
from clinic_mm.fusion.pool import FLOOR, LogPool
from clinic_mm.predict.calibrate import Temperatures
from clinic_mm.predict.joint import mixed
from clinic_mm.predict.model import corrections, heard_of
from clinic_mm.prep.batch import PreparedCases
from clinic_mm.training.pool import SubsetRows, fit_pool, subset_rows
from clinic_mm.training.residual import PoolLogits, train_residual
from clinic_mm.training.temperatures import TRAINING, Room, fit_temperatures
from clinic_mm.training.thresholds import Rows

FREEDOMS: Final = (0.0, 0.25, 0.5, 1.0)
Folds = Int[Array, " n"]


@dataclass(frozen=True, slots=True)
class Table:
    """What the second level is fitted on: opinions, presence, classes, patients and folds of the training cases."""

    names: tuple[str, ...]
    prior: Float[Array, " C"]
    opinions: Float[Array, "n M C"]
    present: Bool[Array, "n M"]
    labels: Int[Array, " n"]
    patients: Array
    fold: Folds
    rows: SubsetRows

    def heard(self, prepared: PreparedCases, spoken: Mapping[str, Spoken]) -> Heard:
        """The out-of-fold opinions together with what one chain's networks said."""
        return heard_of(prepared, self.opinions, spoken)

    def answered(self, probabilities: Float[Array, "r C"]) -> Rows:
        """Second-level rows with their calibrated answers, as thresholds are fitted on them."""
        rows, case = self.rows, self.rows.case
        return Rows(
            self.names,
            probabilities,
            self.labels[case],
            self.patients[case],
            rows.present,
            rows.native,
            self.fold[case],
        )

    def asked(self, pool: LogPool, joint: "JointRows | None" = None) -> PoolLogits:
        """Logits of any cases and subsets: the pool's, with the joint head's out-of-fold opinion mixed in."""
        if joint is None:
            return lambda case, mask: pool.logits(self.opinions[case], mask)
        codes = self._codes(self.rows.case, self.rows.present)
        order = np.argsort(codes)

        def logits(case: Int[Array, " b"], mask: Bool[Array, "b M"]) -> Float[Array, "b C"]:
            row = order[np.searchsorted(codes[order], self._codes(case, mask))]
            return mixed(pool.logits(self.opinions[case], mask), joint.logits[row], joint.share)

        return logits

    def _codes(self, case: Int[Array, " b"], mask: Bool[Array, "b M"]) -> Int[Array, " b"]:
        """One number per case and subset."""
        width = len(self.names)
        codes: Array = (case.astype(np.int64) << width) + mask @ (1 << np.arange(width))
        return codes

    def pool_without(self, k: int | None, freedom: float) -> LogPool:
        """The pool fitted on all cases but those of fold k."""
        kept = self.rows if k is None else self.rows.only(self.fold[self.rows.case] != k)
        return fit_pool(self.opinions, kept, self.labels, self.patients, self.names, self.prior, freedom)


@dataclass(frozen=True, slots=True)
class JointRows:
    """What the head over everything side by side says of each second-level row out of fold, and its share."""

    logits: Float[Array, "r C"]
    share: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an addition to the pool pays: mean gain in NLL per patient on unseen cases, with standard error."""

    gain: float
    standard_error: float

    @property
    def kept(self) -> bool:
        """More than one standard error."""
        return self.gain > self.standard_error


def make_table(opinions: Array, prepared: PreparedCases, prior: Array, fold: Folds) -> Table:
    """Second-level rows of prepared training cases."""
    return Table(
        prepared.names,
        prior,
        opinions,
        prepared.present,
        prepared.labels,
        prepared.patients,
        fold,
        subset_rows(prepared.present),
    )


@dataclass(frozen=True, slots=True)
class CrossPool:
    """Cross-fitted pools.

    Attributes:
        freedom: How far the pool may leave its starting weights; chosen by the NLL of rows not fitted on.
        folds: The pool of each fold, fitted without it.
        logits: Of every second-level row, from the pool that did not see it.
    """

    freedom: float
    folds: tuple[LogPool, ...]
    logits: Float[Array, "r C"]


def crossfit_pool(table: Table) -> CrossPool:
    """A pool per fold, for the freedom that serves unseen rows best."""
    rows = table.rows
    tried = [_crossfit_pool(table, freedom) for freedom in FREEDOMS]
    losses = [(_nll(pool.logits, table.labels[rows.case]) * rows.weight).sum() for pool in tried]
    return tried[int(np.argmin(losses))]


def _crossfit_pool(table: Table, freedom: float) -> CrossPool:
    rows = table.rows
    pools = tuple(table.pool_without(k, freedom) for k in range(table.fold.max() + 1))
    logits = np.zeros((len(rows.case), len(table.prior)))
    for k, pool in enumerate(pools):
        held = table.fold[rows.case] == k
        logits[held] = pool.logits(table.opinions[rows.case[held]], rows.present[held])
    return CrossPool(freedom, pools, logits)


def crossfit_residual(
    table: Table,
    prepared: PreparedCases,
    spoken: Sequence[Mapping[str, Spoken]],
    pooled: CrossPool,
    seed: int,
    joint: JointRows | None = None,
) -> tuple[Float[Array, "r C"], Verdict]:
    """Logits with each fold's residual added, and whether that pays."""
    before = mixed(pooled.logits, joint.logits, joint.share) if joint else pooled.logits
    rows, logits = table.rows, before.copy()
    for k, pool in enumerate(pooled.folds):
        heard = table.heard(prepared, spoken[k])
        fit = np.flatnonzero((table.fold != k) & table.present.any(axis=1))
        residual = train_residual(
            table.names,
            heard,
            table.asked(pool, joint),
            table.labels,
            fit,
            table.prior,
            seed + k,
        )
        held = table.fold[rows.case] == k
        logits[held] += corrections(residual, heard, rows.case[held], rows.present[held])
    return logits, judged(table, before, logits)


def judged(table: Table, without: Float[Array, "r C"], having: Float[Array, "r C"]) -> Verdict:
    """Whether the second logits are better. Paired by patient, each patient's rows weighted as in the fits."""
    rows = table.rows
    y = table.labels[rows.case]
    gain = (_nll(without, y) - _nll(having, y)) * rows.weight
    _, patient = np.unique(table.patients[rows.case], return_inverse=True)
    weight = np.bincount(patient, rows.weight)
    per_patient = np.bincount(patient, gain)[weight > 0] / weight[weight > 0]
    error = float(per_patient.std(ddof=1) / np.sqrt(len(per_patient))) if len(per_patient) > 1 else np.inf
    return Verdict(float(per_patient.mean()), error)


def _nll(logits: Float[Array, "r C"], y: Int[Array, " r"]) -> Float[Array, " r"]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    loss: Array = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(y)), y]
    return loss


def crossfit_temperatures(table: Table, logits: Float[Array, "r C"]) -> tuple[Temperatures, Float[Array, "r C"]]:
    """Temperatures from all rows, and calibrated probabilities of each row from the folds that did not hold it.

    The calibration with the least room is taken, unless unseen rows are clearly better by one with more.
    """
    room, every = TRAINING[0], np.ones(len(logits), dtype=bool)
    probabilities = _crossfit_temperatures(table, logits, room)
    for wider in TRAINING[1:]:
        tried = _crossfit_temperatures(table, logits, wider)
        if judged(table, np.log(probabilities + FLOOR), np.log(tried + FLOOR)).kept:
            room, probabilities = wider, tried
    return _temperatures(table, logits, every, room), probabilities


def _crossfit_temperatures(table: Table, logits: Float[Array, "r C"], room: Room) -> Float[Array, "r C"]:
    rows = table.rows
    probabilities = np.zeros_like(logits)
    for k in range(table.fold.max() + 1):
        held = table.fold[rows.case] == k
        fitted = _temperatures(table, logits, ~held, room)
        probabilities[held] = fitted.probabilities(logits[held], rows.present[held], table.present[rows.case[held]])
    return probabilities


def _temperatures(table: Table, logits: Float[Array, "r C"], keep: Bool[Array, " r"], room: Room) -> Temperatures:
    rows, centre = table.rows.only(keep), np.log(table.prior)
    return fit_temperatures(logits[keep], rows, table.labels, table.patients, table.present, table.names, centre, room)
