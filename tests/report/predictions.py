"""Made-up Predictions that are consistent in themselves: probabilities, subsets and Shapley shares agree."""

import math
from datetime import UTC, datetime
from itertools import combinations

from clinic_mm.predict.prediction import MissingEvidence, Prediction, PredictionSet, SeenFlag
from clinic_mm.types import Flag

ALL = ("ct", "eeg", "note", "record", "xray")
PRIOR_LOG_ODDS = math.log(0.3 / 0.7)


def made_up(
    case_key: str = "c0001",
    shares: dict[str, float] | None = None,
    missing: tuple[MissingEvidence, ...] | None = None,
    abstained: str = "",
    flags: tuple[SeenFlag, ...] = (),
) -> Prediction:
    shares = {"ct": 1.2, "eeg": -0.3, "record": 0.6} if shares is None else shares
    pattern = tuple(sorted(shares))
    subsets = {
        "+".join(some): _both(PRIOR_LOG_ODDS + sum(shares[name] for name in some))
        for size in range(len(pattern) + 1)
        for some in combinations(pattern, size)
    }
    answer = subsets["+".join(pattern)]
    if missing is None:
        missing = tuple(MissingEvidence(modality=name, status="absent") for name in ALL if name not in shares)
    decision = "" if abstained else ("negative", "positive")[answer[1] >= 0.5]
    return Prediction(
        case_key=case_key,
        patient_key=f"p-{case_key}",
        decision_time=datetime(2026, 3, 1, 12, tzinfo=UTC),
        target="disease",
        kind="binary",
        classes=("negative", "positive"),
        probabilities=answer,
        decision=decision,
        prediction_set=PredictionSet(level=0.9, classes=(decision,) if decision else ("negative", "positive"), n=120),
        pattern=pattern,
        subsets=subsets,
        shapley=shares,
        missing=missing,
        flags=flags,
        abstained=abstained,
        model_hash="a" * 64,
        input_hash="b" * 64,
        settings_hash="c" * 64,
        run_id="r1",
    )


def rejected(modality: str = "xray", why: str = "the image is blank", code: str = "xray.blank") -> MissingEvidence:
    return MissingEvidence(modality=modality, status="rejected", code=code, why=why)


def flagged(modality: str = "ct", code: str = "ct.thick_slices", why: str = "slices are 5 mm thick") -> SeenFlag:
    return SeenFlag(modality=modality, flag=Flag(code=code, why=why))


def _both(log_odds: float) -> tuple[float, float]:
    positive = 1 / (1 + math.exp(-log_odds))
    return 1 - positive, positive
