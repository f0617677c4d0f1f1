"""Render a level 0 to 12 into a clinical note: four complaints, each graded in one of four words.

In:  v of a note, a random generator. Out: the text; a FHIR R4B DocumentReference with it, base64.

Twelve cuts divide e into 13 levels; complaint k passes to its next grade at cuts k, k + 4 and k + 8, so that the
grades add up to the level: the symbols tell the level exactly, and no more. Neutral sentences stand between.
"""

import base64
from datetime import datetime
from typing import Any, Final

import numpy as np

from clinic_mm.simulate.case import Case
from clinic_mm.simulate.latent import NOTE_VALUES
from clinic_mm.simulate.record import LOINC, TEST_DATA, fhir_time

COMPLAINTS: Final = ("breathlessness", "confusion", "fatigue", "headache")
GRADES: Final = (("no", "denies"), ("mild", "slight"), ("moderate", "considerable"), ("severe", "marked"))
"""Two words for each grade; they stand in no neutral sentence."""

NEUTRAL: Final = (
    "Arrived by own transport.",
    "Lives with family in the city.",
    "Medication list was reviewed with the patient.",
    "Allergies: none known to the clinic.",
    "Works in an office, currently on leave.",
    "Slept in the ward without events.",
    "Eats a mixed diet.",
    "Vaccinations are up to date.",
    "Uses reading glasses.",
    "A relative was present during the visit.",
    "Mobility is unchanged from the last visit.",
    "Questions were answered and leaflets handed out.",
)


def level_of(v: float) -> int:
    """Level 0 to 12 of a note's value; the nearest one for any other number."""
    return int(np.abs(NOTE_VALUES - v).argmin())


def render(v: float, rng: np.random.Generator) -> str:
    """Render one note.

    Args:
        v: Value of the level.
        rng: The case's random numbers for notes.
    """
    level = level_of(v)
    grades = [(level + len(COMPLAINTS) - 1 - k) // len(COMPLAINTS) for k in range(len(COMPLAINTS))]
    sentences = [_sentence(name, grade, rng) for name, grade in zip(COMPLAINTS, grades, strict=True)]
    neutral = rng.choice(len(NEUTRAL), size=int(rng.integers(3, 7)), replace=False)
    sentences += [NEUTRAL[i] for i in neutral]
    return "SIMULATED note. " + " ".join(sentences[i] for i in rng.permutation(len(sentences)))


def _sentence(complaint: str, grade: int, rng: np.random.Generator) -> str:
    word = GRADES[grade][int(rng.integers(2))]
    return f"Patient {word} {complaint}." if word == "denies" else f"There is {word} {complaint}."


def document(case: Case, at: datetime, v: float, rng: np.random.Generator, *, occasion: str = "1") -> dict[str, Any]:
    """The DocumentReference resource. Source: FHIR R4B, DocumentReference."""
    text = render(v, rng)
    kind = {"system": LOINC, "code": "11506-3", "display": "Progress note"}
    return {
        "resourceType": "DocumentReference",
        "id": f"{case.patient_id}-n{occasion}",
        "meta": TEST_DATA,
        "status": "current",
        "docStatus": "final",
        "type": {"coding": [kind], "text": "Progress note"},
        "subject": {"reference": f"Patient/{case.patient_id}"},
        "date": fhir_time(at),
        "content": [
            {
                "attachment": {
                    "contentType": "text/plain",
                    "language": "en",
                    "data": base64.b64encode(text.encode()).decode(),
                }
            }
        ],
    }
