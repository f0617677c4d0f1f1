"""The deployed model: experts -> pool -> gated residual -> temperature, for any subset, from one encoding.

In:  prepared cases. Out: calibrated probabilities of any subsets of what each case has.
Nothing here fits; `training.fit` makes a Model, `predict.artifact` keeps it, `predict.predictor` makes Predictions.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from pydantic import JsonValue

from clinic_mm.encoders.run import Spoken
from clinic_mm.fusion.bottleneck import Bottleneck
from clinic_mm.fusion.pool import LogPool
from clinic_mm.predict.calibrate import Temperatures
from clinic_mm.predict.conformal import Thresholds
from clinic_mm.predict.experts import Expert, spread
from clinic_mm.predict.heads import Head
from clinic_mm.predict.joint import SideBySide, concatenated, mixed, side_by_side
from clinic_mm.prep.batch import PreparedCases, Recipe
from clinic_mm.task import Task

RESIDUAL_BATCH = 256


@dataclass(frozen=True, slots=True)
class Model:
    """Everything that one artifact holds.

    Attributes:
        task: What was asked.
        recipe: How cases are prepared.
        experts: One per modality, in the task's order.
        pool: Joins the experts' opinions.
        residual: Adds what tokens say together; None where it did not pay.
        temperatures: Calibration per pattern.
        thresholds: Prediction sets per pattern.
        concat: The head on all plain summaries side by side with presence flags: a baseline, and part of the answer
            where `share` is above 0.
        facts: What is worth knowing: n, verdicts, out-of-fold figures, versions (JSON).
        share: How much of the answer `concat` has beside the pool, 0 to 1; chosen out of fold.
    """

    task: Task
    recipe: Recipe
    experts: tuple[Expert, ...]
    pool: LogPool
    residual: Bottleneck | None
    temperatures: Temperatures
    thresholds: Thresholds
    concat: Head
    facts: Mapping[str, JsonValue]
    share: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """Modalities, in the order of the columns."""
        return self.task.modalities


@dataclass(frozen=True, slots=True)
class Heard:
    """One encoding of some cases: opinions of all experts, and what networks said, if they were asked.

    `opinions` holds the prior where a modality is absent: it is never looked at there. `beside` is None where the head
    on everything side by side has no part in the answer.
    """

    opinions: Float[Array, "n M C"]
    present: Bool[Array, "n M"]
    spoken: Mapping[str, Spoken]
    row: Mapping[str, Int[Array, " n"]]
    time_h: Float[Array, "n M"]
    beside: SideBySide | None = None


def listen(model: Model, prepared: PreparedCases) -> Heard:
    """Ask every expert once."""
    assert prepared.names == model.names, "columns must stand in the order of the task"
    spoken, opinions = {}, []
    for expert in model.experts:
        said = expert.speak(prepared)
        if said is not None:
            spoken[expert.name] = said
        opinions.append(spread(expert.opinions(prepared, said), prepared.row[expert.name], model.pool.prior))
    beside = side_by_side(prepared) if model.share > 0 else None
    return Heard(np.stack(opinions, axis=1), prepared.present, spoken, prepared.row, prepared.time_h, beside)


def subset_logits(
    model: Model, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]
) -> Float[Array, "r C"]:
    """Uncalibrated logits of subsets: row r is case `case[r]` with only `present[r]` speaking."""
    assert not (present & ~heard.present[case]).any(), "a subset must be of what is present"
    logits = model.pool.logits(heard.opinions[case], present)
    if heard.beside is not None:
        some = present.any(axis=1)  # without evidence the prior stands
        logits[some] = mixed(logits[some], heard.beside.logits(model.concat, case[some], present[some]), model.share)
    if model.residual is not None:
        logits = logits + corrections(model.residual, heard, case, present)
    return logits


@torch.inference_mode()
def corrections(
    residual: Bottleneck, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]
) -> Float[Array, "r C"]:
    """What the residual adds, in batches."""
    residual.eval()
    parts = []
    for start in range(0, len(case), RESIDUAL_BATCH):
        rows, masks = case[start : start + RESIDUAL_BATCH], present[start : start + RESIDUAL_BATCH]
        outputs = {
            name: heard.spoken[name].output(heard.row[name][rows], heard.time_h[rows, column])
            for column, name in enumerate(residual.names)
        }
        parts.append(residual.correction(outputs, torch.from_numpy(masks)).double().numpy())
    return np.concatenate(parts) if parts else np.zeros((0, len(residual.prior)))


def subset_probabilities(
    model: Model, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]
) -> Float[Array, "r C"]:
    """Calibrated probabilities of subsets."""
    return model.temperatures.probabilities(subset_logits(model, heard, case, present), present)


def native_probabilities(model: Model, heard: Heard) -> Float[Array, "n C"]:
    """Calibrated probabilities of each case with all that it has."""
    return subset_probabilities(model, heard, np.arange(len(heard.present)), heard.present)


def baselines(model: Model, prepared: PreparedCases, heard: Heard) -> dict[str, Float[Array, "n C"]]:
    """The answers that fusion must beat: prior, each expert alone, late average, concat with flags.

    An expert alone answers with the prior where its modality is absent.
    """
    prior = model.pool.prior
    single = {
        f"single:{name}": np.where(prepared.present[:, [column]], heard.opinions[:, column], prior)
        for column, name in enumerate(model.names)
    }
    return {
        "prior": np.tile(prior, (len(prepared), 1)),
        **single,
        "late_average": late_average(heard.opinions, heard.present, prior),
        "concat": model.concat.predict(concatenated(prepared)),
    }


def late_average(
    opinions: Float[Array, "n M C"], present: Bool[Array, "n M"], prior: Float[Array, " C"]
) -> Float[Array, "n C"]:
    """Mean probability of the present experts; the prior where there is none."""
    count = present.sum(axis=1)[:, None]
    total = (opinions * present[..., None]).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), prior)
