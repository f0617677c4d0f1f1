"""The words that every report and page uses for one Prediction, so that none of them says it differently.

In:  a Prediction or a part of one, and the labels of its modalities. Out: plain sentences, nothing escaped.

Nothing here computes a number that the Prediction does not hold.
"""

import math
import re
from collections.abc import Mapping
from typing import Final

from clinic_mm.modalities import label
from clinic_mm.predict.prediction import HASH_DIGITS, MissingEvidence, Prediction, PredictionSet, ShownCoverage

NOT_A_DEVICE: Final = "Research software. Not a medical device. Not for diagnosis or treatment."
NO_SHARES: Final = "not shown: no answer is given"
"""In the place of shares, which would add up to the answer."""
WITHHELD: Final = "The AI's answer is hidden by monitoring."
GUARANTEE: Final = {"approximate": "Approximate", "split": "By patients held out of all fitting"}
SIMULATED: Final = "SIMULATED COHORT — not patients"
STATUS_WORDS: Final = {"absent": "none given", "rejected": "acquired, not usable", "failed": "software failure"}
BORROWED: Final = {
    "": "",
    "size": ", borrowed from all combinations of as many kinds of evidence",
    "all": ", borrowed from all calibration patients",
}
RAISED: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
SMALL_SHARE: Final = 0.005
"""Shares below this print as 0.00 and are said to have no direction."""


def label_of(name: str, labels: Mapping[str, str] | None = None) -> str:
    """A modality as a clinician reads it: the given label, else the table's, else its own name."""
    if labels and name in labels:
        return labels[name]
    return label(name)


def settled(value: float) -> float:
    """The number that the content hash stands for: what has one hash reads the same, wherever it was written."""
    return round(value, HASH_DIGITS) + 0.0


def probability(value: float) -> str:
    """A probability with two digits; never a bare 0 or 1, which no model can know."""
    value = settled(value)
    if 0.0 <= value < 0.01:
        return "< 0.01"
    return "> 0.99" if 0.99 < value <= 1.0 else f"{value:.2f}"


def named_class(prediction: Prediction) -> str:
    """The class that the answer speaks of: the second of two, else the most probable."""
    if prediction.kind == "binary":
        return prediction.classes[1]
    return prediction.classes[max(range(len(prediction.classes)), key=prediction.probabilities.__getitem__)]


def shows_answer(prediction: Prediction) -> bool:
    """Whether the answer, and anything that would tell it, may be shown: it is neither withheld nor abstained from."""
    return not prediction.withheld and not prediction.abstained


def set_in_words(prediction: Prediction) -> str:
    """`90 % prediction set: negative or positive, so undecided at this level`."""
    found = prediction.prediction_set
    level = f"{found.level * 100:g} % prediction set"
    if not found.classes:
        return f"{level}: empty, unlike the calibration patients"
    undecided = ", so undecided at this level" if len(found.classes) == len(prediction.classes) else ""
    return f"{level}: {' or '.join(found.classes)}{undecided}"


def set_basis(found: PredictionSet) -> str:
    """Whom a set rests on, and what such sets were seen to cover: `Approximate, from n = 120 calibration patients`."""
    effective = "an effective " if found.shift == "weighted" else ""
    exact = "" if found.n_exact in (None, found.n) else f" ({found.n_exact} with exactly this evidence)"
    apart = ", each class by its own threshold" if found.class_conditional else ""
    basis = f"from {effective}n = {found.n} calibration patients{exact}{BORROWED[found.borrowed]}{apart}"
    return "; ".join([f"{GUARANTEE[found.guarantee]}, {basis}", *_seen(found.coverage)])


def _seen(shown: ShownCoverage | None) -> list[str]:
    """What sets of cases with this evidence showed out of fold."""
    if shown is None:
        return []
    span = f"{shown.estimate * 100:.0f} %, 95 % interval {shown.low * 100:.0f} to {shown.high * 100:.0f} %"
    return [
        f"such sets held the truth for {shown.estimate * shown.n:.0f} of {shown.n} training patients answered unseen "
        f"({span}), {shown.mean_size:.1f} classes in a set on average"
    ]


def answer_in_words(prediction: Prediction) -> str:
    """The whole answer in a few sentences; where none is given or shown, why, and no probability."""
    if prediction.withheld:
        return f"{WITHHELD} {prediction.withheld}"
    if prediction.abstained:
        return f"No answer for {prediction.target}: {prediction.abstained.rstrip('.')}."
    name = named_class(prediction)
    number = probability(prediction.probability_of(name))
    first = f"Probability of {name} ({prediction.target}): {number}. {set_in_words(prediction)}."
    return f"{first} {set_basis(prediction.prediction_set)}."


def missing_in_words(missing: MissingEvidence) -> str:
    """Why one modality did not speak: `acquired, not usable: three slices are missing (ct.missing_slices)`."""
    reason = f": {missing.why.rstrip('.')}" if missing.why else ""
    code = f" ({missing.code})" if missing.code else ""
    return f"{STATUS_WORDS[missing.status]}{reason}{code}"


def unit_in_words(unit: str) -> str:
    """A UCUM unit as it is read: `10³/µL` for `10*3/uL`, `years` for `a`."""
    if unit == "a":
        return "years"
    powers = re.sub(r"10[*^](\d+)", lambda found: f"10{found[1].translate(RAISED)}", unit)
    return re.sub(r"\bu(?=(?:L|g|m|mol|V|kat|[Uu]|\[IU\])\b)", "µ", powers)


def time_before(hours: float) -> str:
    """How long before the decision something was: `25 min before`, `5 h before`, `12 days before`."""
    if hours < 1:
        return f"{max(hours, 0) * 60:.0f} min before"
    return f"{hours:.0f} h before" if hours < 72 else f"{hours / 24:.0f} days before"


def signed(value: float) -> str:
    """Two digits with the sign in front, the minus a real one; no sign where nothing is left of the number."""
    value = settled(value)
    if abs(value) < SMALL_SHARE:
        return "0.00"
    return f"{value:+.2f}".replace("-", "−")


def share_unit(prediction: Prediction) -> str:
    """What the shares are shares of."""
    return "log-odds" if prediction.kind == "binary" else "centred log-probability"


def share_in_words(prediction: Prediction, share: float) -> str:
    """`+1.20 towards positive (odds × 3.3)`; the factor only where the share is one of log-odds."""
    name, share = named_class(prediction), settled(share)
    if abs(share) < SMALL_SHARE:
        return "0.00, no direction"
    direction = "towards" if share > 0 else "away from"
    factor = f" (odds × {math.exp(share):.2g})" if prediction.kind == "binary" and abs(share) < 20 else ""
    return f"{signed(share)} {direction} {name}{factor}"


def ordered_shares(prediction: Prediction) -> list[tuple[str, float]]:
    """Modalities with their shares, the weightiest first, ties by name."""
    return sorted(prediction.shapley.items(), key=lambda item: (-abs(item[1]), item[0]))
