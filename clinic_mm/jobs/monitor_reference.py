"""A model's own training as the reference of monitoring.

In:  a model with what it kept (`predict.drift`). Out: evaluate.monitor.scores.Reference.
Near what unseen cases give, not the same: a run on unseen cases is the better reference.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array

from clinic_mm.errors import InputError
from clinic_mm.evaluate.monitor.scores import ANSWER, OPINION, PRESENT, SHARE, Reference, Score, opinions
from clinic_mm.predict.drift import parts_of
from clinic_mm.predict.model import Model
from clinic_mm.report.run import JOIN


def reference_of_model(model: Model, model_hash: str) -> Reference:
    """What the model kept of its training: out-of-fold opinions, calibrated as the model now is.

    Raises:
        InputError: If the model kept nothing.
    """
    drift, counts = model.drift, _counts(model)
    if drift is None:
        mend = "Name a run on unseen cases instead, or train the model again"
        raise InputError("This model kept nothing to measure drift against", "--reference", mend)
    classes, total = model.task.classes, sum(counts.values())
    values: dict[Score, Float[Array, " r"]] = {}
    for name in model.names:
        there = sum(n for pattern, n in counts.items() if name in pattern.split(JOIN))
        values[Score("modality", name, PRESENT)] = _ones(there, total)
        if f"alone/{name}" in drift.logits:
            logits, had = np.split(drift.logits[f"alone/{name}"], [len(classes)], axis=1)
            p = _calibrated(model, logits, name, had > 0)
            values |= opinions("modality", name, OPINION, p, classes)
        if name in drift.kept:
            kept = drift.kept[name]
            values |= {Score("modality", name, part): kept[:, k] for k, part in enumerate(parts_of(kept.shape[1]))}
    for pattern, n in counts.items():
        values[Score("pattern", pattern, SHARE)] = _ones(n, total)
        if f"as it came/{pattern}" in drift.logits:
            p = _calibrated(model, drift.logits[f"as it came/{pattern}"], pattern)
            values |= opinions("pattern", pattern, ANSWER, p, classes)
    return Reference("model", total, values, model_hash)


def _counts(model: Model) -> dict[str, int]:
    told = model.facts.get("patterns")
    return {str(p): int(n) for p, n in told.items() if p and isinstance(n, int)} if isinstance(told, Mapping) else {}


def _calibrated(
    model: Model, logits: Float[Array, "n C"], pattern: str, had: Bool[Array, "n M"] | None = None
) -> Float[Array, "n C"]:
    mask = np.isin(model.names, pattern.split(JOIN))
    return model.temperatures.probabilities(logits, np.tile(mask, (len(logits), 1)), had)


def _ones(ones: int, total: int) -> Float[Array, " n"]:
    return (np.arange(total) < ones).astype(float)
