"""The deployed model: experts -> pool -> gated residual -> temperature, for any subset, from one encoding.

In:  prepared cases. Out: calibrated probabilities of any subsets of what each case has.
Nothing here fits; `training.fit` makes a Model, `predict.artifact` keeps it, `predict.predictor` makes Predictions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from pydantic import JsonValue

from clinic_mm.encoders.run import Spoken
from clinic_mm.fusion.bottleneck import Bottleneck
from clinic_mm.fusion.heard import Heard
from clinic_mm.fusion.joined import Joined
from clinic_mm.fusion.late import weighted_mean
from clinic_mm.fusion.pool import LogPool
from clinic_mm.predict.abstain import ONLY_NOTHING, Silence
from clinic_mm.predict.bank import Bank
from clinic_mm.predict.calibrate import Temperatures
from clinic_mm.predict.conformal import Thresholds
from clinic_mm.predict.drift import DriftReference
from clinic_mm.predict.experts import Expert, spread
from clinic_mm.predict.heads import Head
from clinic_mm.predict.joint import concatenated, mixed, side_by_side
from clinic_mm.predict.outside import NO_DETECTORS, Attended, Outside, attend
from clinic_mm.predict.shift import CalibrationCases, Shift
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
        joined: The way of joining that the task names, in the place of pool, share and residual; None for the default.
        drift: What drift is measured against; None in artifacts made before it was kept.
        outside: Detectors of what it has never learnt from; none in artifacts made before there were any.
        calibration_cases: PATIENT-DERIVED; only where the task asks for sets weighted to new cohorts.
        shift: How the cohort at hand differs from them (`predict.shifted`); never part of an artifact.
        silence: When no answer is given; without any evidence alone, in artifacts made before there were rules.
        bank: What training cases were answered, for advice; None where it was left out or taken out.
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
    joined: Joined | None = None
    drift: DriftReference | None = None
    outside: Outside = NO_DETECTORS
    calibration_cases: CalibrationCases | None = None
    shift: Shift | None = None
    silence: Silence = ONLY_NOTHING
    bank: Bank | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Modalities, in the order of the columns."""
        return self.task.modalities

    @property
    def prior(self) -> Float[Array, " C"]:
        """The answer without any evidence: how common each class is, where the model was calibrated last."""
        if not self.temperatures.moves_prior:
            return self.pool.prior
        nothing = np.zeros((1, len(self.names)), dtype=bool)
        shifted: Array = self.temperatures.probabilities(np.log(self.pool.prior)[None], nothing)[0]
        return shifted


def listen(model: Model, prepared: PreparedCases) -> Heard:
    """Ask every expert once."""
    assert prepared.names == model.names, "columns must stand in the order of the task"
    return listen_to(model.experts, model.pool.prior, prepared, live=model.task.fusion.learning == "joint")


def listen_inside(model: Model, prepared: PreparedCases) -> Attended:
    """Ask every expert once, and leave out what lies outside of training: what every answer rests on."""
    return attend(model.outside, model.recipe, prepared, listen(model, prepared))


def listen_to(
    experts: Sequence[Expert], prior: Float[Array, " C"], prepared: PreparedCases, *, live: bool = False
) -> Heard:
    """What experts say of prepared cases; `live` keeps the tensors, for encoders inside the fusion."""
    spoken, opinions = {}, []
    for expert in experts:
        said = expert.speak(prepared)
        if said is not None:
            spoken[expert.name] = said
        opinions.append(spread(expert.opinions(prepared, said), prepared.row[expert.name], prior))
    return heard_of(prepared, np.stack(opinions, axis=1), spoken, live=live)


def heard_of(
    prepared: PreparedCases, opinions: Float[Array, "n M C"], spoken: Mapping[str, Spoken], *, live: bool = False
) -> Heard:
    """Prepared cases with what experts and networks said of them."""
    return Heard(
        names=prepared.names,
        plain=prepared.plain,
        opinions=opinions,
        present=prepared.present,
        time_h=prepared.time_h,
        row=prepared.row,
        spoken=spoken,
        x=prepared.x if live else {},
    )


def subset_logits(
    model: Model, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]
) -> Float[Array, "r C"]:
    """Uncalibrated logits of subsets: row r is case `case[r]` with only `present[r]` speaking."""
    assert not (present & ~heard.present[case]).any(), "a subset must be of what is present"
    if model.joined is not None:
        return model.joined.logits(heard, case, present)
    logits = model.pool.logits(heard.opinions[case], present)
    if model.share > 0:
        some = present.any(axis=1)  # without evidence the prior stands
        beside = side_by_side(heard.plain, heard.names)
        logits[some] = mixed(logits[some], beside.logits(model.concat, case[some], present[some]), model.share)
    if model.residual is not None:
        logits = logits + corrections(model.residual, heard, case, present)
    return logits


@torch.inference_mode()
def corrections(
    residual: Bottleneck, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]
) -> Float[Array, "r C"]:
    """What the residual adds, in batches; the tokens of each case are read once."""
    residual.eval()
    added = np.zeros((len(case), len(residual.prior)))
    # Cases of which as many subsets are asked go together: in a batch, each costs what the largest one does.
    order = np.lexsort((case, np.bincount(case)[case] if len(case) else case))
    for start in range(0, len(case), RESIDUAL_BATCH):
        rows = order[start : start + RESIDUAL_BATCH]
        cases, row = np.unique(case[rows], return_inverse=True)
        outputs = {
            name: heard.spoken[name].output(heard.row[name][cases], heard.time_h[cases, column])
            for column, name in enumerate(residual.names)
        }
        masks = torch.from_numpy(present[rows])
        added[rows] = residual.correction(outputs, masks, torch.from_numpy(row)).double().numpy()
    return added


def subset_probabilities(
    model: Model, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]
) -> Float[Array, "r C"]:
    """Calibrated probabilities of subsets."""
    logits = subset_logits(model, heard, case, present)
    return model.temperatures.probabilities(logits, present, heard.present[case])


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
        "late_average": weighted_mean(heard.opinions, heard.present, prior),
        "concat": model.concat.predict(concatenated(heard)),
    }
