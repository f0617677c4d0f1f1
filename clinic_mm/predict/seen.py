"""Whom a model has seen: hashes of pseudonyms, so that nobody it was trained on is scored by mistake.

In:  cases and a model's facts. Out: the cases it has not seen. A hash says that a patient was trained on, nothing else.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from pydantic import JsonValue

from clinic_mm.errors import LeakError
from clinic_mm.types import CaseRecord


def patient_hash(patient_key: str) -> str:
    """A pseudonym, hashed once more."""
    return hashlib.sha256(f"trained on {patient_key}".encode()).hexdigest()[:16]


def trained_on(patient_keys: Iterable[str], facts: Mapping[str, JsonValue]) -> frozenset[str]:
    """Those of these patients that the model was trained on."""
    trained = set(cast("list[str]", facts["patients_sha256"]))
    return frozenset(key for key in patient_keys if patient_hash(key) in trained)


def _new(cases: Sequence[CaseRecord], facts: Mapping[str, JsonValue]) -> tuple[CaseRecord, ...]:
    trained = trained_on({case.patient_key for case in cases}, facts)
    return tuple(case for case in cases if case.patient_key not in trained)


def count_seen(cases: Sequence[CaseRecord], facts: Mapping[str, JsonValue]) -> int:
    """How many cases are of patients that the model was trained on."""
    return len(cases) - len(_new(cases, facts))


def unseen(cases: Sequence[CaseRecord], facts: Mapping[str, JsonValue]) -> tuple[CaseRecord, ...]:
    """The cases of patients that the model was not trained on.

    Raises:
        LeakError: If there is none.
    """
    left = _new(cases, facts)
    if cases:
        check_unseen(len(left))
    return left


def check_unseen(left: int) -> None:
    """Some case must be left that the model has not seen.

    Raises:
        LeakError: If there is none.
    """
    if not left:
        mend = "Train with --test-share 0.3, or evaluate on another cohort"
        raise LeakError("The model was trained on every patient of this cohort", "evaluate", mend)
