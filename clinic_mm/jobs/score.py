"""Score a model on prepared cases that it has not seen, beside the baselines it must beat.

In:  a model and its hash, prepared test cases, where to write, limits where they are known.
Out: the evaluation folder:

    answers.parquet      one row per case and method
    by_pattern.csv       METHODS §5 per availability pattern and method, with intervals by patient
    by_subset.csv        AUROC of every subset, on native cases and on cases masked down to it
    fusion_gain.csv      ours against the best single modality, the late average and concat
    modality_drop.csv    AUROC as whole modalities vanish at test
    fairness.csv         by sex, age band, site and language, with differences to the rest; small groups withheld
    *.png                the same as figures; what `jobs.trust` says of calibration and silence
    evaluation.json      counts, hashes, the rate of answers that more evidence made worse
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import orjson
import pandas as pd
from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm.errors import TaskError
from clinic_mm.evaluate import fairness_figure, figures
from clinic_mm.evaluate.fairness import Answers, fairness
from clinic_mm.evaluate.metrics import auroc, nll
from clinic_mm.evaluate.missingness import RATES, counter_intuitive_rate, curve, drop_modalities
from clinic_mm.evaluate.table import by_pattern, fusion_gain
from clinic_mm.fusion.heard import Heard
from clinic_mm.fusion.late import weighted_mean
from clinic_mm.jobs.masked import by_subset
from clinic_mm.jobs.trust import write_trust
from clinic_mm.predict.answers import OURS, tidy
from clinic_mm.predict.model import Model, baselines, listen_inside, native_probabilities, subset_probabilities
from clinic_mm.predict.prediction import Prediction
from clinic_mm.predict.predictor import predict_cases
from clinic_mm.predict.shifted import sets_of, shift_told, shifted
from clinic_mm.prep.batch import PreparedCases
from clinic_mm.types import SCHEMA_VERSION

AGAINST: Final = ("late_average", "concat")


@dataclass(frozen=True, slots=True)
class Scores:
    """The tables that people ask for first."""

    by_pattern: pd.DataFrame
    by_subset: pd.DataFrame


def score(
    model: Model,
    model_hash: str,
    prepared: PreparedCases,
    out: Path,
    *,
    limits: Mapping[str, float] | None = None,
    simulated: bool = False,
    groups: pd.DataFrame | None = None,
) -> Scores:
    """Score, write the folder, and return its two main tables.

    Args:
        model: What to score.
        model_hash: Its hash, written beside the figures.
        prepared: Labelled cases of patients that the model has not seen.
        out: Evaluation folder.
        limits: Best possible AUROC per pattern ("all" for every case), for simulated cohorts.
        simulated: Said on every figure.
        groups: Of each case, by case key, from `evaluate.groups`; None leaves fairness out.

    Raises:
        TaskError: If no case has a label and evidence, or all labels are of one class.
    """
    _check(prepared)
    attended = listen_inside(model, prepared)  # figures are of what would be answered
    prepared, heard = attended.prepared, attended.heard
    ours = native_probabilities(model, heard)
    model = shifted(model, heard, prepared.patients)
    sets = sets_of(model, heard, ours)
    frame = tidy({OURS: ours, **baselines(model, prepared, heard)}, prepared, sets)
    table = by_pattern(frame, limits=limits)
    gains = pd.concat([fusion_gain(frame, OURS, against=AGAINST, metric=m) for m in (auroc, nll)])
    drops = modality_drop(model, heard, prepared)
    subsets = by_subset(model, heard, prepared, limits)
    out.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(out / "answers.parquet", index=False)
    for name, made in (
        ("by_pattern", table),
        ("by_subset", subsets),
        ("fusion_gain", gains),
        ("modality_drop", drops),
    ):
        made.to_csv(out / f"{name}.csv", index=False)
    _draw(table, gains, drops, ours, prepared, out, simulated)
    if groups is not None:
        _by_group(model, frame, groups, out, simulated)
    predictions = predict_cases(model, model_hash, prepared)
    write_trust(predictions, prepared.labels, out, simulated=simulated)
    told = _told(model, model_hash, prepared, predictions, simulated)
    (out / "evaluation.json").write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2))
    return Scores(table, subsets)


def _check(prepared: PreparedCases) -> None:
    labels = prepared.labels[prepared.present.any(axis=1)]
    if len(np.unique(labels[labels >= 0])) < 2:
        mend = "Evaluate on cases of at least two classes"
        raise TaskError("The test cases do not hold two classes with evidence", "evaluate", mend)


def modality_drop(model: Model, heard: Heard, prepared: PreparedCases) -> pd.DataFrame:
    """AUROC of ours and of the late average as modalities vanish at random, over METHODS' grid of rates."""
    cases = np.flatnonzero((prepared.labels >= 0) & prepared.present.any(axis=1))
    fused, averaged = {}, {}
    for rate in RATES:
        present = drop_modalities(prepared.present[cases], rate, seed=model.task.seed)
        fused[rate] = subset_probabilities(model, heard, cases, present)
        averaged[rate] = weighted_mean(heard.opinions[cases], present, model.pool.prior)
    labels, patients = prepared.labels[cases], prepared.patients[cases]
    return pd.concat(
        [curve(probs, labels, patients, method=method) for method, probs in ((OURS, fused), ("late_average", averaged))]
    )


def _draw(
    table: pd.DataFrame,
    gains: pd.DataFrame,
    drops: pd.DataFrame,
    ours: Float[Array, "n C"],
    prepared: PreparedCases,
    out: Path,
    simulated: bool,
) -> None:
    figures.auc_per_pattern(table, out / "auc_per_pattern.png", simulated=simulated)
    figures.gain(gains, out / "fusion_gain.png", simulated=simulated)
    figures.missing_curve(drops, out / "modality_drop.png", dropped="modalities", simulated=simulated)
    scored = (prepared.labels >= 0) & prepared.present.any(axis=1)
    figures.reliability(
        ours[scored],
        prepared.labels[scored],
        out / "reliability.png",
        n_patients=len(set(prepared.patients[scored].tolist())),
        simulated=simulated,
    )


def _by_group(model: Model, frame: pd.DataFrame, groups: pd.DataFrame, out: Path, simulated: bool) -> None:
    """Fairness of our own answers, as table and figure."""
    mine = frame[frame["method"] == OURS]
    classes = range(len(model.pool.prior))
    labels = mine["label"].to_numpy(dtype=np.int64)
    sets = mine[[f"set_{c}" for c in classes]].to_numpy(dtype=float)
    probs = mine[[f"p_{c}" for c in classes]].to_numpy(dtype=float)
    covered = sets[np.arange(len(mine)), labels]
    answers = Answers(probs, labels, mine["patient_key"].to_numpy(), model.pool.prior, covered)
    table = fairness(answers, groups.loc[mine["case_key"]])
    table.to_csv(out / "fairness.csv", index=False)
    if len(table):
        fairness_figure.draw(table, out / "fairness.png", simulated=simulated)


def _told(
    model: Model, model_hash: str, prepared: PreparedCases, predictions: Sequence[Prediction], simulated: bool
) -> dict[str, object]:
    labelled = [i for i in range(len(prepared)) if prepared.labels[i] >= 0 and prepared.present[i].any()]
    by_subset = [p.subsets for p in predictions]
    rate = counter_intuitive_rate(
        [by_subset[i] for i in labelled], prepared.labels[labelled], prepared.patients[labelled]
    )
    return {
        "schema_version": SCHEMA_VERSION,
        "model": model_hash,
        "target": model.task.target,
        "n_cases": len(labelled),
        "n_patients": len({prepared.patients[i] for i in labelled}),
        "n_without_evidence_or_label": len(prepared) - len(labelled),
        "counter_intuitive_rate": asdict(rate),
        "simulated": simulated,
        "prediction_sets": {"level": model.thresholds.level, "shift": shift_told(model)},
        "fusion_verdict_in_training": model.facts["verdict"],
    }
