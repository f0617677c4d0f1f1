"""How urgently a person should look at a case, and why: what ranks the work list.

In:  a Prediction, the prior. Out: a number from 0 to 1, and a line of text.

Urgency is the calibrated probability that the case is of any class but the task's first (for two classes: of the
second). Where no answer is given or shown, nothing is known but how common that is: the case stands at the prior, above
all that the model holds less likely than the average case, so that silence sinks nobody to the end of the list.
"""

from typing import Final

from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.words import answer_in_words, label_of, missing_in_words, ordered_shares, probability, signed

SHARES: Final = 2
"""Of so many modalities the share is told."""
MOST: Final = 240
"""Characters of a reason."""


def unknown_urgency(prior: Float[Array, " C"]) -> float:
    """Of a case of which nothing is known."""
    return float(1.0 - prior[0])


def urgency_of(prediction: Prediction, unknown: float) -> float:
    """Of a case, 0 to 1."""
    if not prediction.pattern or prediction.abstained or prediction.withheld:
        return unknown
    return float(1.0 - prediction.probabilities[0])


def reason_of(prediction: Prediction) -> str:
    """Why it stands there: `positive 0.87; CT +1.40, Note −0.20; missing: EEG`."""
    return "; ".join([_answer(prediction), *_missing(prediction)])[:MOST]


def missing_of(prediction: Prediction) -> str:
    """The part of the reason that gives no answer away: `X-ray rejected: blank; missing: EEG`."""
    return "; ".join(_missing(prediction))[:MOST]


def _answer(prediction: Prediction) -> str:
    if prediction.withheld:
        return f"Hidden by monitoring: {prediction.withheld}"
    if prediction.abstained:
        return answer_in_words(prediction)
    sure = " or ".join(prediction.prediction_set.classes) or "none"
    told = f"{prediction.decision} {probability(max(prediction.probabilities))}, set: {sure}"
    if prediction.kind == "binary":
        told = f"{prediction.classes[1]} {probability(prediction.probabilities[1])}, set: {sure}"
    shares = ", ".join(f"{label_of(name)} {signed(share)}" for name, share in ordered_shares(prediction)[:SHARES])
    return f"{told}; {shares}"


def _missing(prediction: Prediction) -> list[str]:
    if not prediction.missing:
        return []
    refused = [f"{label_of(m.modality)} {missing_in_words(m)}" for m in prediction.missing if m.status != "absent"]
    absent = [label_of(m.modality) for m in prediction.missing if m.status == "absent"]
    return [*refused, *([f"missing: {', '.join(absent)}"] if absent else [])]
