"""What a Prediction stores of one modality's inside: features with the patient's own values, words by their places.

In:  nothing. Out: frozen models. Never the text of a note: only where a word begins and ends, and what it adds.
"""

from typing import Final, Literal

from pydantic import AwareDatetime

from clinic_mm.types import Frozen

Way = Literal["linear", "trees", "occlusion"]
WAYS: Final[dict[Way, str]] = {
    "linear": "linear SHAP, exact",
    "trees": "path-dependent TreeSHAP, exact",
    "occlusion": "occlusion: each left out by itself",
}


class FeatureShare(Frozen):
    """What one code of a record adds to the expert's opinion, all its summaries together.

    Attributes:
        code: As in the record: `loinc:1988-5`.
        value: The patient's last value; None where there is no number, or none was measured.
        unit: Of the value, UCUM; "" where it has none.
        text: What stands in place of a number: a level, `listed`, `not listed`, `not measured`.
        time: When the value was taken; None where unknown.
        share: In the unit of the shares of the modalities.
    """

    code: str
    value: float | None = None
    unit: str = ""
    text: str = ""
    time: AwareDatetime | None = None
    share: float


class WordShare(Frozen):
    """What one word of a note adds: characters `start` to `end` (exclusive) of the text as it was read."""

    start: int
    end: int
    share: float


class Within(Frozen):
    """What the opinion of one expert rests on: `baseline` + features + words + `rest` = `opinion`.

    It tells of the expert by itself, which the answer weighs against the others: see `Prediction.shapley` for that.

    Attributes:
        modality: Whose expert.
        way: How it was found.
        opinion: The expert's own log-odds (binary), or centred log-probability of the class that the shares are of.
        baseline: linear, trees: its mean over the rows that the expert was fitted on. occlusion: its opinion of the
            same with everything left out.
        features: Weightiest first.
        words: In the order of the text.
        rest: Features and words too slight to be listed, words that the note does not have, and (occlusion) what the
            parts say only together.
        text_hash: SHA-256 of the text that the words are places in; "" where there is none.
    """

    modality: str
    way: Way
    opinion: float
    baseline: float
    features: tuple[FeatureShare, ...] = ()
    words: tuple[WordShare, ...] = ()
    rest: float = 0.0
    text_hash: str = ""
