"""Runs of a made-up model over made-up cases whose evidence, presence or outcomes can be shifted from a case on."""

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy import ndarray as Array
from scipy.special import expit

from clinic_mm.predict.prediction import MissingEvidence, Prediction, PredictionSet
from clinic_mm.report.run import Counts, ModelOf, RunInfo, write_run, write_shard

NAMES = ("ct", "eeg", "record")
CLASSES = ("no", "yes")
START = datetime(2026, 3, 1, tzinfo=UTC)
WEIGHT = 1.2
"""Log-odds per unit of a modality's evidence; a perfect model of outcomes drawn from them."""


def cases(
    n: int,
    *,
    seed: int,
    shift: tuple[str, float] | None = None,
    gone: str = "",
    at: int = 0,
    first: int = 0,
    odds: float = 0.0,
    model_hash: str = "m" * 64,
) -> tuple[list[Prediction], Array]:
    """Predictions and outcomes; from case `at` on a modality is shifted or gone, or outcomes' log-odds moved."""
    rng = np.random.default_rng(seed)
    e = rng.normal(size=(n, len(NAMES)))
    there = rng.random((n, len(NAMES))) < 0.7
    there[~there.any(axis=1), 0] = True
    later = np.arange(n) >= at
    true = (WEIGHT * e * there).sum(axis=1) - 0.8
    if shift:
        e[:, NAMES.index(shift[0])] += shift[1] * later
    if gone:
        there[later, NAMES.index(gone)] = False
    y = (rng.random(n) < expit(true + odds * later)).astype(int)
    return [_prediction(first + i, e[i], there[i], model_hash) for i in range(n) if there[i].any()], y[
        there.any(axis=1)
    ]


def _prediction(number: int, e: Array, there: Array, model_hash: str) -> Prediction:
    alone = {name: WEIGHT * value - 0.8 for name, value, has in zip(NAMES, e, there, strict=True) if has}
    odds = sum(value + 0.8 for value in alone.values()) - 0.8
    pattern = tuple(sorted(alone))
    p = float(expit(odds))
    return Prediction(
        case_key=f"c{number:06d}",
        patient_key=f"p{number:06d}",
        decision_time=START + timedelta(hours=number),
        target="ill",
        kind="binary",
        classes=CLASSES,
        probabilities=(1 - p, p),
        decision=CLASSES[int(p > 0.5)],
        prediction_set=PredictionSet(level=0.9, classes=_set(p), n=500),
        pattern=pattern,
        subsets={**{name: _pair(value) for name, value in alone.items()}, "+".join(pattern): (1 - p, p)},
        shapley=dict(alone),
        missing=tuple(MissingEvidence(modality=name, status="absent") for name in NAMES if name not in alone),
        drift_scores={
            name: (round(float(v), 3), 0.0, 0.0) for name, v, has in zip(NAMES, e, there, strict=True) if has
        },
        model_hash=model_hash,
        input_hash="i",
        settings_hash="s",
    )


def _pair(odds: float) -> tuple[float, float]:
    p = float(expit(odds))
    return 1 - p, p


def _set(p: float) -> tuple[str, ...]:
    """What holds the truth in at least 90 % of cases where the probability is right."""
    return tuple(c for c, own in zip(CLASSES, (1 - p, p), strict=True) if own >= _limit())


@cache
def _limit() -> float:
    rng = np.random.default_rng(99)
    e, there = rng.normal(size=(20_000, 3)), rng.random((20_000, 3)) < 0.7
    p = expit((WEIGHT * e * there).sum(axis=1) - 0.8)
    truth = np.where(rng.random(20_000) < p, p, 1 - p)
    return float(np.quantile(truth, 0.1))


def run_of(predictions: list[Prediction], folder: Path, *, simulated: bool = True) -> Path:
    """A run folder."""
    for start in range(0, len(predictions), 512):
        write_shard(predictions[start : start + 512], folder / "shards" / f"part-{start // 512:05d}.parquet")
    info = RunInfo(
        run_id="r",
        model=ModelOf(path="model", hash=predictions[0].model_hash, name="ill"),
        cohort="../cohort",
        target="ill",
        classes=CLASSES,
        modalities={name: name for name in NAMES},
        counts=Counts(done=len(predictions)),
        simulated=simulated,
    )
    write_run(info, folder)
    return folder


def outcomes_of(predictions: list[Prediction], y: Array, path: Path) -> Path:
    """A CSV of outcomes, by class name."""
    rows = {"case_key": [p.case_key for p in predictions], "label": [CLASSES[k] for k in y]}
    pd.DataFrame(rows).to_csv(path, index=False)
    return path
