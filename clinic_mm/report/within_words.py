"""Words for what pairs of modalities add, and for what an expert rests on inside its modality.

In:  a Prediction, the labels of its modalities. Out: plain lines, nothing escaped; none where no answer is shown.

A note is never quoted here: a Prediction knows only where its words stand.
"""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from clinic_mm.predict.prediction import Prediction
from clinic_mm.predict.within.told import WAYS, FeatureShare, Within
from clinic_mm.report.words import label_of, named_class, share_unit, shows_answer, signed, time_before, unit_in_words
from clinic_mm.sources.record.units import substance

BORN: Final = "birth_date"
"""Code of the birth date, which stands for the age that it gives."""
SMALL_PAIR: Final = 0.25
"""Pairs below this, or below a quarter of the weightiest share, are not spoken of."""
PAIRS_SAID: Final = 2
LINES_SAID: Final = 5


def pair_lines(prediction: Prediction, labels: Mapping[str, str] | None = None) -> list[str]:
    """What the weightiest pairs say beyond their two parts."""
    if not shows_answer(prediction):
        return []
    least = max(SMALL_PAIR, max(map(abs, prediction.shapley.values()), default=0.0) / 4)
    told = [(pair, value) for pair, value in prediction.interactions.items() if abs(value) >= least]
    told.sort(key=lambda one: (-abs(one[1]), one[0]))
    return [_pair_line(prediction, pair, value, labels) for pair, value in told[:PAIRS_SAID]]


def _pair_line(prediction: Prediction, pair: str, value: float, labels: Mapping[str, str] | None) -> str:
    one, two = pair.split("+")
    named = f"{label_of(one, labels)} and {label_of(two, labels)}"
    far = f"{abs(value):.2f} {share_unit(prediction)}"
    first, second = _alone(prediction, one), _alone(prediction, two)
    if first * second > 0:
        if first * value < 0:
            return f"{named} tell partly the same: together {far} less than one by one"
        return f"{named} strengthen each other: together {far} more than one by one"
    toward = "towards" if value > 0 else "away from"
    return f"{named} together: {far} further {toward} {named_class(prediction)} than one by one"


def _alone(prediction: Prediction, name: str) -> float:
    """What a modality says alone: its share without its halves of the pairs (Shapley-Taylor index)."""
    halves = sum(value for pair, value in prediction.interactions.items() if name in pair.split("+")) / 2
    return prediction.shapley[name] - halves


def within_lines(prediction: Prediction, told: Within) -> list[tuple[str, str]]:
    """Features with the patient's own value, and their share; of words only how many pull which way."""
    rows = [
        (f"{signed(f.share)}", f"{code_name(f.code)} {value_in_words(f, prediction.decision_time)}".strip())
        for f in told.features[:LINES_SAID]
    ]
    if told.words:
        toward, away = (sum(w.share for w in told.words if (w.share > 0) == up) for up in (True, False))
        rows.append((f"{signed(toward)}", f"words towards {named_class(prediction)}; the dashboard marks them"))
        rows.append((f"{signed(away)}", f"words away from {named_class(prediction)}"))
    return rows


def within_title(prediction: Prediction, told: Within, labels: Mapping[str, str] | None = None) -> str:
    """`Inside Patient record, by its expert alone (linear SHAP, exact; log-odds, +0.85 in all)`."""
    whole = signed(told.opinion - told.baseline)
    how = f"{WAYS[told.way]}; {share_unit(prediction)}, {whole} in all"
    return f"Inside {label_of(told.modality, labels)}, by its expert alone ({how})"


def code_name(code: str) -> str:
    """What a code measures, where the table of units knows that, and the code."""
    if code == BORN:
        return "age"
    known = substance(code)
    return f"{known} ({code})" if known else code


def value_in_words(feature: FeatureShare, due: datetime | None = None) -> str:
    """`60.4 mg/L, 2 h before`: the patient's own last value."""
    if feature.value is None:
        return feature.text
    if feature.code == BORN:  # in whole years: parts of one would tell the birth date
        return f"{math.floor(feature.value)} years"
    said = f"{feature.value:.4g} {unit_in_words(feature.unit)}".strip()
    if feature.time is None or due is None:
        return said
    return f"{said}, {time_before((due - feature.time).total_seconds() / 3600)}"
