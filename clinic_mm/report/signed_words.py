"""The words for what people did with an answer, the same in every spelling of a report.

In:  a Prediction and its `Signed`. Out: plain sentences, nothing escaped. People are their opaque ids.

Where the answer is hidden or none is given, nothing here tells whether a person agreed with it.
"""

from datetime import UTC, datetime
from typing import Final

from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.setting import Whose
from clinic_mm.report.signed import Signed
from clinic_mm.report.words import shows_answer

STATE_WORDS: Final = {
    "preliminary": "PRELIMINARY: computed by software, signed by nobody",
    "final": "FINAL",
    "amended": "AMENDED",
}
ACT_WORDS: Final = {
    "accept": "the AI's answer was accepted",
    "override": "the AI's answer was overridden",
    "own": "the reader's own: the AI gave or showed no answer",
}
IDENTIFIED: Final = "IDENTIFIED: this report names the patient"


def moment(when: datetime) -> str:
    """`2026-03-02 08:00 UTC`."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def state_in_words(signed: Signed) -> str:
    """`FINAL: signed by u17 on 2026-03-02 08:00 UTC`."""
    words = STATE_WORDS[signed.state]
    if signed.signed_at is None:
        return words
    return f"{words}: signed by {signed.signer} on {moment(signed.signed_at)}"


def reader_rows(prediction: Prediction, signed: Signed) -> list[tuple[str, str]]:
    """What people did, act by act; nothing where nobody did anything."""
    rows = [("Reader's verdict", signed.verdict)] if signed.verdict else []
    if signed.act and shows_answer(prediction):
        rows.append(("Against the AI", f"{ACT_WORDS[signed.act]}{f': {signed.reason}' if signed.reason else ''}"))
    elif signed.reason:
        rows.append(("Reason given", signed.reason))
    if signed.amendment_reason:
        rows.append(("Why amended", signed.amendment_reason))
    if signed.before is not None:
        rows.append(("Before that", f"{signed.before.verdict}; {state_in_words(signed.before)}"))
    return [*rows, *((f"Comment of {one.by}, {moment(one.at)}", one.text) for one in signed.comments)]


def patient_rows(whose: Whose | None) -> list[tuple[str, str]]:
    """Who it is about, where that is asked for."""
    if whose is None:
        return []
    born = whose.birth_date.isoformat() if whose.birth_date else "unknown"
    return [
        ("Patient", whose.name.replace("^", " ").strip() or "name unknown"),
        ("Patient ID", whose.patient_id),
        ("Born", born),
        ("Sex", whose.sex or "unknown"),
    ]
