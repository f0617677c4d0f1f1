"""A guard of one modality as it would be deployed, and what it makes of signals: what all rooms of `outside` share.

In:  signals of one kind. Out: which are rejected; how well wrong copies are told apart; what looking costs.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Bool
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.predict.interval import clopper_pearson
from clinic_mm.predict.model import heard_of
from clinic_mm.predict.outside import Outside, attend
from clinic_mm.prep.base import Prep, plan_prep
from clinic_mm.prep.batch import Outcome, PreparedCases, Recipe, stack
from clinic_mm.signals import Signal
from clinic_mm.task import ModalityTask, OutsideTask
from clinic_mm.training.outside import fit_guard, patient_folds
from clinic_mm.training.shown import told_apart
from clinic_mm.types import CaseRecord, Rejected

ALARMS: Final = OutsideTask().false_alarms
TRAIN, HELD, SEED = 400, 200, 41
Row = tuple[str, str, int, int]
"""What it is, on what, how many were caught, of how many."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A recipe of one modality with its guard."""

    prep: Prep[Signal]
    outside: Outside

    def caught(self, signals: Iterable[Signal | None]) -> Bool[Array, " n"]:
        """Which signals are rejected; None stands for one that reading refused."""
        prepared = prepare(self.prep, list(signals))
        heard = heard_of(prepared, np.full((len(prepared), 1, 2), 0.5), {})
        after = attend(self.outside, Recipe({self.prep.kind: self.prep}), prepared, heard).prepared
        return ~after.present[:, 0]


def planned(kind: str) -> Prep[Signal]:
    """The prep of a kind, of the least size."""
    return plan_prep(kind, "tiny", ModalityTask(kind=kind))


def prepare(prep: Prep[Signal], signals: Sequence[Signal | None], patients: Sequence[str] = ()) -> PreparedCases:
    """Signals as prepared cases of one modality; what cannot be prepared is rejected."""
    outcomes = []
    for signal in signals:
        try:
            made = None if signal is None else prep(signal, None)
        except EvidenceError:
            made = None
        no = None if made else Rejected(modality=prep.kind, code="refused", why="refused")
        outcomes.append({prep.kind: Outcome(made, np.nan, no)})
    keys = patients or [f"p{k}" for k in range(len(signals))]
    cases = [CaseRecord(case_key=f"c{k}", patient_key=p, decision_time=None) for k, p in enumerate(keys)]
    return stack(cases, outcomes, Recipe({prep.kind: prep}))


def guarded(prep: Prep[Signal], signals: Sequence[Signal], patients: Sequence[str] = ()) -> Guarded:
    """A guard of some training signals."""
    guard = fit_guard(prep, prepare(prep, signals, patients), prep.kind, ALARMS, SEED)
    assert not isinstance(guard, str), guard
    return Guarded(prep, Outside({prep.kind: guard}))


def count(found: Bool[Array, " n"]) -> tuple[int, int]:
    """How many, of how many."""
    return int(found.sum()), len(found)


def apart(prep: Prep[Signal], signals: Sequence[Signal], patients: Sequence[str] = ()) -> dict[str, float]:
    """Cross-fitted by patient: the AUROC of signals against their wrong copies."""
    prepared = prepare(prep, signals, patients)
    fold = patient_folds(prepared.patients[prepared.present[:, 0]], SEED)
    return told_apart(prep, prepared.x[prep.kind], fold)


def simulated(render: Callable[..., tuple[Array, Any]], number: int) -> Array:
    """One rendered signal; both classes alike."""
    rng = np.random.default_rng([SEED, number])
    return render(float(rng.normal()), rng)[0]


def seconds(train: Guarded, signals: Sequence[Signal]) -> float:
    """Of looking at one prepared signal, in a batch of 64: the cost of the guard beside preparing and encoding."""
    prepared = prepare(train.prep, signals[:64])
    heard = heard_of(prepared, np.full((len(prepared), 1, 2), 0.5), {})
    took = []
    for _ in range(5):
        start = time.perf_counter()
        attend(train.outside, Recipe({train.prep.kind: train.prep}), prepared, heard)
        took.append(time.perf_counter() - start)
    return float(np.median(took)) / len(prepared)


def interval(caught: int, n: int) -> str:
    """Share with the Clopper-Pearson interval, 95 %."""
    low, high = clopper_pearson(caught, n)
    return f"{caught / n:.1%} ({low:.1%} to {high:.1%})"
