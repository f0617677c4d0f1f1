"""The formal guarantee: thresholds from patients who were held out of all fitting.

In:  training cases, a task with `guarantee = "split"`. Out: who is held out; and, once the rest is fitted, the model
with thresholds of those patients, as the deployed model answers them.

Preparation, experts, pool, calibration and every choice see the other patients only. The price: fewer patients to learn
from, and rarer patterns borrow. Source: split conformal prediction, Papadopoulos, Proedrou, Vovk & Gammerman 2002,
doi:10.1007/3-540-36755-1_29.
"""

from dataclasses import replace
from typing import Final, cast

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray as Array
from pydantic import JsonValue

from clinic_mm.cohort.split import split_patients
from clinic_mm.predict.model import Model, listen_inside, native_probabilities
from clinic_mm.predict.seen import patient_hash
from clinic_mm.prep.batch import PreparedCases
from clinic_mm.task import Task
from clinic_mm.training.shift_cases import held_out_cases
from clinic_mm.training.thresholds import Rows, fit_thresholds

SHARE: Final = 0.2
FOLDS: Final = 5


def held_out(patients: Array, labels: Int[Array, " n"], task: Task) -> Bool[Array, " n"]:
    """Cases of the patients that nothing is fitted on; none without `guarantee = "split"`.

    Drawn by the task's seed and stratified by label: the same for the same patients. A case without a label is not held
    out, so that fitting refuses it.

    Raises:
        TaskError: If one side would lack a class.
    """
    if task.sets.guarantee != "split":
        return np.zeros(len(labels), dtype=bool)
    known = labels.tolist()
    return split_patients(patients.tolist(), test_share=SHARE, seed=task.seed, labels=known) & (labels >= 0)


def left_aside(prepared: PreparedCases, train: Bool[Array, " n"], task: Task) -> Bool[Array, " n"]:
    """Which of the training cases are held out, among all cases of a split."""
    mine = np.flatnonzero(train)
    aside = np.zeros(len(prepared), dtype=bool)
    aside[mine] = held_out(prepared.patients[mine], prepared.labels[mine], task)
    return aside


def with_split(model: Model, held: PreparedCases) -> Model:
    """The model with thresholds of the held-out cases, and with these patients among those it has seen."""
    rows = answered(model, held)
    sets = model.task.sets
    thresholds = fit_thresholds(rows, model.task.level, class_conditional=sets.class_conditional, guarantee="split")
    patients = set(held.patients.tolist())
    seen = sorted({*cast("list[str]", model.facts["patients_sha256"]), *map(patient_hash, patients)})
    facts: dict[str, JsonValue] = {
        **model.facts,
        "held_out": {"cases": len(held), "patients": len(patients)},
        "patients_sha256": list(seen),
    }
    kept = held_out_cases(model, held) if sets.shift == "weighted" else None
    return replace(model, thresholds=thresholds, facts=facts, calibration_cases=kept)


def answered(model: Model, held: PreparedCases) -> Rows:
    """Held-out cases as the deployed model answers them with all that they have."""
    heard = listen_inside(model, held).heard
    some = heard.present.any(axis=1)
    patients = held.patients[some]
    number = np.unique(patients, return_inverse=True)[1]
    order = np.random.default_rng(model.task.seed).permutation(int(number.max(initial=-1)) + 1)
    return Rows(
        names=model.names,
        probabilities=native_probabilities(model, heard)[some],
        labels=held.labels[some],
        patients=patients,
        present=heard.present[some],
        native=np.ones(int(some.sum()), dtype=bool),
        fold=order[number] % FOLDS,
    )
