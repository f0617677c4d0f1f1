"""Keep the calibration cases, for models whose prediction sets are to be weighted to new cohorts. PATIENT-DERIVED.

In:  calibration cases, what the model said of them and of each of their modalities alone. Out: `CalibrationCases`.
"""

from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm.predict.drift import DriftReference
from clinic_mm.predict.model import Model, listen_inside, native_probabilities
from clinic_mm.predict.shift import CalibrationCases, features_of
from clinic_mm.predict.shifted import gists, shift_features
from clinic_mm.prep.batch import PreparedCases
from clinic_mm.training.secondlevel import Table

MOST_CASES: Final = 5000
"""Cases kept; of more a sample is drawn."""
DIGITS: Final = 3


def out_of_fold_cases(
    prepared: PreparedCases, table: Table, probabilities: Float[Array, "r C"], drift: DriftReference
) -> CalibrationCases:
    """From the out-of-fold answers to all second-level rows."""
    rows = table.rows
    alone = np.full((*table.present.shape, probabilities.shape[1]), 1.0 / probabilities.shape[1])
    single = np.flatnonzero(rows.present.sum(axis=1) == 1)
    alone[rows.case[single], rows.present[single].argmax(axis=1)] = probabilities[single]
    native = np.flatnonzero(rows.native)
    answers = np.full((len(table.labels), probabilities.shape[1]), 1.0 / probabilities.shape[1])
    answers[rows.case[native]] = probabilities[native]
    features = features_of(table.present, gists(drift, prepared.plain, table.names), alone, answers)
    return _kept(prepared, features, answers)


def held_out_cases(model: Model, held: PreparedCases) -> CalibrationCases:
    """From cases held out of all fitting, as the deployed model answers them."""
    attended = listen_inside(model, held)
    features = shift_features(model, attended.heard)
    return _kept(attended.prepared, features, native_probabilities(model, attended.heard))


def _kept(prepared: PreparedCases, features: Float[Array, "n q"], answers: Float[Array, "n C"]) -> CalibrationCases:
    """Cases with evidence, shuffled, at most MOST_CASES, rounded; patients by a number of this file alone."""
    some = np.flatnonzero(prepared.present.any(axis=1))
    generator = np.random.default_rng(0)
    order = generator.permutation(some)[:MOST_CASES]
    labels = prepared.labels[order]
    number = np.unique(prepared.patients[order], return_inverse=True)[1]
    return CalibrationCases(
        features=np.round(features[order], DIGITS),
        present=prepared.present[order],
        score=np.round(1.0 - answers[order, labels], 6),
        label=labels,
        patient=generator.permutation(int(number.max(initial=-1)) + 1)[number],
    )
