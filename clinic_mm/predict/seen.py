"""Whom a model has seen: hashes of pseudonyms, so that nobody it was trained on is scored by mistake.

In:  cases and a model's facts. Out: the cases it has not seen. A hash says that a patient was trained on, nothing else.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import cast

from pydantic import JsonValue

from clinic_mm.errors import LeakError
from clinic_mm.types import CaseRecord


def patient_hash(patient_key: str) -> str:
    """A pseudonym, hashed once more."""
    return hashlib.sha256(f"trained on {patient_key}".encode()).hexdigest()[:16]


def _new(cases: Sequence[CaseRecord], facts: Mapping[str, JsonValue]) -> tuple[CaseRecord, ...]:
    trained = set(cast("list[str]", facts["patients_sha256"]))
    return tuple(case for case in cases if patient_hash(case.patient_key) not in trained)


def count_seen(cases: Sequence[CaseRecord], facts: Mapping[str, JsonValue]) -> int:
    """How many cases are of patients that the model was trained on."""
    return len(cases) - len(_new(cases, facts))


def unseen(cases: Sequence[CaseRecord], facts: Mapping[str, JsonValue]) -> tuple[CaseRecord, ...]:
    """The cases of patients that the model was not trained on.

    Raises:
        LeakError: If there is none.
    """
    left = _new(cases, facts)
    if cases and not left:
        mend = "Train with --test-share 0.3, or evaluate on another cohort"
        raise LeakError("The model was trained on every patient of this cohort", "evaluate", mend)
    return left
