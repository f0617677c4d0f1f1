"""What may be seen of a case before the answer: evidence, what was refused and why, quality flags.

In:  a stored Prediction. Out: another one that holds the parts named here and nothing else, marked as withheld.

Parts are named, not left out: what a later version adds to a Prediction stays sealed by itself.
"""

from typing import Final

from clinic_mm.predict.prediction import Prediction, PredictionSet

WHY: Final = "The answer is sealed until you have given your own opinion"


def evidence_only(found: Prediction) -> Prediction:
    """The same case without its answer, and without anything that follows from the answer."""
    return Prediction(
        case_key=found.case_key,
        patient_key=found.patient_key,
        decision_time=found.decision_time,
        target=found.target,
        kind=found.kind,
        classes=found.classes,
        probabilities=(),
        decision="",
        prediction_set=PredictionSet(level=found.prediction_set.level, classes=(), n=0),
        pattern=found.pattern,
        subsets={},
        shapley={},
        missing=found.missing,
        flags=found.flags,
        withheld=WHY,
        model_hash=found.model_hash,
        input_hash=found.input_hash,
        settings_hash=found.settings_hash,
    )
