"""What a report for people says, section by section: text, HTML page and PDF are three spellings of this.

In:  a Prediction and its setting. Out: titles, rows of label and words, lines; nothing escaped, nothing laid out.

Where no answer is given or shown, no number that would tell it is in here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.advice_words import advice_lines, advice_rows
from clinic_mm.report.setting import Setting, Whose
from clinic_mm.report.signed import Signed
from clinic_mm.report.signed_words import IDENTIFIED, moment, patient_rows, reader_rows, state_in_words
from clinic_mm.report.within_words import pair_lines, within_lines, within_title
from clinic_mm.report.words import (
    NO_SHARES,
    SIMULATED,
    label_of,
    missing_in_words,
    ordered_shares,
    share_in_words,
    share_unit,
    shows_answer,
)

Labels = Mapping[str, str] | None
HIDDEN: Final = "hidden with the answer"


@dataclass(frozen=True, slots=True)
class Part:
    """One section: rows of label and words, or lines."""

    title: str
    rows: tuple[tuple[str, str], ...] = ()
    lines: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rows or self.lines)


def class_rows(prediction: Prediction) -> list[tuple[str, float]]:
    """Each class with its probability; none where no answer is given or shown."""
    if not shows_answer(prediction):
        return []
    return list(zip(prediction.classes, prediction.probabilities, strict=True))


def marks(setting: Setting) -> list[str]:
    """What stands above everything, in frames: simulated, identified, the state of the report."""
    simulated = [SIMULATED] if setting.simulated else []
    identified = [IDENTIFIED] if setting.whose else []
    return [*simulated, *identified, state_in_words(setting.signed)]


def facts(prediction: Prediction, setting: Setting) -> list[tuple[str, str]]:
    """Which case, when, by which model."""
    due = prediction.decision_time
    return [
        ("Case", prediction.case_key),
        ("Patient key", prediction.patient_key),
        ("Decision time", moment(due) if due else "not stated"),
        ("Model", setting.model),
        ("Written", moment(setting.created)),
    ]


def parts_before(prediction: Prediction, signed: Signed, whose: Whose | None = None) -> list[Part]:
    """What stands above the answer: who it is about, where asked for, and what people did."""
    parts = [
        Part("Patient", tuple(patient_rows(whose))),
        Part("Read by a person", tuple(reader_rows(prediction, signed))),
    ]
    return [part for part in parts if part]


def parts_after(prediction: Prediction, labels: Labels = None) -> list[Part]:
    """What stands below the answer; sections that would be empty are left out."""
    parts = [
        _shares(prediction, labels),
        Part("To know of pairs", lines=tuple(pair_lines(prediction, labels))),
        *_within(prediction, labels),
        Part("Missing", tuple((label_of(m.modality, labels), missing_in_words(m)) for m in prediction.missing)),
        _advice(prediction, labels),
        Part("Flags", tuple((label_of(f.modality, labels), f"{f.flag.why} ({f.flag.code})") for f in prediction.flags)),
        Part("Notices", lines=prediction.notices),
        _hashes(prediction),
    ]
    return [part for part in parts if part]


def _shares(prediction: Prediction, labels: Labels) -> Part:
    sampled = "" if prediction.shapley_exact else ", sampled"
    title = f"Rests on (share of {share_unit(prediction)}{sampled})"
    if prediction.withheld:
        return Part(title, lines=(HIDDEN,))
    if prediction.abstained and prediction.pattern:
        return Part(title, lines=(NO_SHARES,))
    rows = [(label_of(name, labels), share_in_words(prediction, s)) for name, s in ordered_shares(prediction)]
    return Part(title, tuple(rows)) if rows else Part(title, lines=("nothing: no modality was usable",))


def _within(prediction: Prediction, labels: Labels) -> list[Part]:
    told = prediction.within if shows_answer(prediction) else ()
    return [Part(within_title(prediction, one, labels), tuple(within_lines(prediction, one))) for one in told]


def _advice(prediction: Prediction, labels: Labels) -> Part:
    rows = tuple(advice_rows(prediction, labels))
    lines = () if rows else tuple(advice_lines(prediction, labels))
    return Part("Further tests", rows, lines)


def _hashes(prediction: Prediction) -> Part:
    hashes = (
        ("prediction", prediction.content_hash),
        ("model", prediction.model_hash),
        ("input", prediction.input_hash),
        ("settings", prediction.settings_hash),
    )
    return Part("Traceable by", tuple((name, value) for name, value in hashes if value))
