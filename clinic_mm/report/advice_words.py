"""The words for what further tests could change, the same in report, page and terminal.

In:  a Prediction with its advice, the labels of its modalities. Out: a plain sentence per absent test, nothing escaped.

Nothing here computes a number that the Prediction does not hold; a patient is spoken of as one of a hundred.
"""

from collections.abc import Mapping
from typing import Final

from clinic_mm.predict.prediction import Advice, Prediction
from clinic_mm.report.words import label_of

UNIT_OF_COST: Final = "xray"
SMALL_SHRINK: Final = 0.05
"""Classes by which a set must change on average to be worth a word."""


def advice_rows(prediction: Prediction, labels: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """Label and words of each absent test, the one that tells most for its cost first; none where the AI is hidden."""
    if prediction.withheld:
        return []
    decided = not prediction.abstained
    refused = {one.modality for one in prediction.missing if one.status != "absent"}
    usable = dict.fromkeys(refused, ", one that can be used,")
    return [
        (label_of(one.modality, labels) + usable.get(one.modality, ""), advice_in_words(one, decided=decided))
        for one in prediction.advice
    ]


def advice_lines(prediction: Prediction, labels: Mapping[str, str] | None = None) -> list[str]:
    """Whole sentences, or the one that says why there are none."""
    silent = [prediction.advice_silent] if prediction.advice_silent and prediction.missing else []
    return [f"{label} {words}" for label, words in advice_rows(prediction, labels)] or silent


def advice_in_words(advice: Advice, *, decided: bool = True) -> str:
    """`would change the decision in 12 of 100 patients like this one (base rate 9), by the 30 nearest of 410 …`."""
    if advice.silent:
        return f"could change what nobody can say: {advice.silent[:1].lower()}{advice.silent[1:].rstrip('.')}."
    what = "the decision" if decided else "the most probable class"
    base = f"base rate {_hundredth(advice.usual_flips)} of 100"
    first = f"would change {what} in {_hundredth(advice.flips)} of 100 patients like this one ({base})"
    whose = f"by the {advice.neighbours} nearest of {advice.had} training cases with it"
    unit = "" if advice.modality == UNIT_OF_COST else " (chest X-ray = 1)"
    return f"{first}{_set(advice.shrink)}, {whose}; relative cost {advice.cost:g}{unit}."


def _set(shrink: float) -> str:
    if abs(shrink) < SMALL_SHRINK:
        return ""
    return f" and {'narrow' if shrink > 0 else 'widen'} the prediction set by {abs(shrink):.1f} classes on average"


def _hundredth(share: float) -> str:
    return f"{100 * share:.0f}"
