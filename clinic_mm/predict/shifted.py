"""A model for a new cohort: its prediction sets weighted to it, where the task asks for that.

In:  a model, prepared cases of the new cohort; their outcomes are not looked at. Out: the model with its `Shift`.
Also the one place that says which thresholds a case is judged by, shifted or not.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array

from clinic_mm.fusion.heard import Heard
from clinic_mm.predict.conformal import Rule, stands
from clinic_mm.predict.drift import DriftReference
from clinic_mm.predict.model import Model, native_probabilities, subset_probabilities
from clinic_mm.predict.shift import features_of, fit_shift

NOT_WEIGHTED = (
    "The prediction set is not weighted to new patients, as the task asks, since one case says nothing of a cohort: it "
    "assumes patients like those of training."
)
TAKEN_OUT = (
    "The prediction set is not weighted to new patients, as the task asks, since the model's calibration cases were "
    "taken out: it assumes patients like those of training."
)


def at_level(model: Model, level: float | None) -> Model:
    """The model asked for its prediction sets at another level; as it is for None.

    Raises:
        UsageError: If it has no thresholds there.
    """
    return model if level is None else replace(model, thresholds=model.thresholds.at(level))


def shifted(model: Model, heard: Heard, patients: Array) -> Model:
    """The model with its sets weighted to the cohort of these cases; as it was where that is not asked for or possible.

    Args:
        model: Whose task asks for `shift = "weighted"`, or not.
        heard: Cases of the new cohort.
        patients: Whose they are.

    Raises:
        InputError: If no case has evidence.
    """
    if model.task.sets.shift != "weighted" or model.calibration_cases is None:
        return model
    some = np.flatnonzero(heard.present.any(axis=1))
    features = shift_features(model, heard)[some]
    conditional = model.task.sets.class_conditional
    return replace(
        model, shift=fit_shift(model.calibration_cases, features, patients[some], class_conditional=conditional)
    )


def unweighted(model: Model) -> Model:
    """The model once its thresholds are a site's own: nothing is to be weighted there, and the old cases do not fit."""
    sets = model.task.sets.model_copy(update={"shift": "none"})
    return replace(model, task=model.task.model_copy(update={"sets": sets}), calibration_cases=None, shift=None)


def shift_features(model: Model, heard: Heard) -> Float[Array, "n q"]:
    """What the cases of a cohort are told apart by."""
    assert model.drift is not None, "calibration cases are kept together with the projections"
    prior = np.full(len(model.task.classes), 1.0 / len(model.task.classes))
    alone = np.tile(prior, (*heard.present.shape, 1))
    for column in range(len(model.names)):
        cases = np.flatnonzero(heard.present[:, column])
        if len(cases):
            mask = np.tile(np.arange(len(model.names)) == column, (len(cases), 1))
            alone[cases, column] = subset_probabilities(model, heard, cases, mask)
    whole = native_probabilities(model, heard)
    return features_of(heard.present, gists(model.drift, heard.plain, model.names), alone, whole)


def gists(
    drift: DriftReference, plain: Mapping[str, Float[Array, "n p"]], names: tuple[str, ...]
) -> list[Float[Array, "n g"]]:
    """Where every case's summaries lie among the training cases, modality by modality."""
    return [drift.gists[name](plain[name]) for name in names]


def rules_of(model: Model, heard: Heard) -> list[Rule]:
    """What each case is judged by."""
    if model.shift is None:
        patterns, whose = np.unique(heard.present, axis=0, return_inverse=True)
        rules = [model.thresholds.of(model.thresholds.pattern_of(row)) for row in patterns]
        return [rules[k] for k in whose.ravel()]
    return model.shift.rules(shift_features(model, heard), heard.present, model.thresholds.level)


def sets_of(model: Model, heard: Heard, probabilities: Float[Array, "n C"]) -> Bool[Array, "n C"]:
    """Prediction sets of all cases with all that they have."""
    if not len(probabilities):
        return np.zeros(probabilities.shape, dtype=bool)
    return stands(probabilities, np.array([rule.score for rule in rules_of(model, heard)]))


def shift_notices(model: Model) -> tuple[str, ...]:
    """What a reader must know of the weighting."""
    if model.task.sets.shift != "weighted":
        return ()
    if model.shift is None:
        return (TAKEN_OUT if model.calibration_cases is None else NOT_WEIGHTED,)
    if void := model.shift.void:
        return (f"The level of the prediction set is no promise for this cohort: {void}.",)
    return ()


def shift_told(model: Model) -> dict[str, float | int | str] | None:
    """What was seen of the shift, as JSON; None where sets are not weighted."""
    if (shift := model.shift) is None:
        return None
    return {
        "auroc_old_against_new": shift.auroc,
        "n_new": shift.n_new,
        "n_calibration": len(np.unique(shift.cases.patient)),
        "n_effective": shift.effective,
        "void": shift.void,
    }


def shift_words(model: Model) -> str:
    """The same for people."""
    assert model.shift is not None
    shift, patients = model.shift, len(np.unique(model.shift.cases.patient))
    told = (
        f"Prediction sets are weighted to this cohort ({shift.n_new} cases looked at): {patients} calibration patients "
        f"are worth {shift.effective:.0f} here, and old is told from new with AUROC {shift.auroc:.2f}"
    )
    return f"{told}. The level is no promise here: {shift.void}" if shift.void else told
