"""The nouns that cross borders: immutable, closed, and the same after JSON."""

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from clinic_mm.types import Absent, CaseRecord, Evidence, Failed, Finding, Flag, Rejected

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FINDINGS = (
    Evidence(
        modality="ct", root="r", paths=("a",), acquired_at=NOON, flags=(Flag(code="c", why="w"),), meta={"n": 1.5}
    ),
    Absent(modality="ct"),
    Rejected(modality="ct", code="ct.flat", why="Flat", mend="Leave it out", acquired_at=NOON),
    Failed(modality="ct", why="KeyError in ct", tries=2),
)


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda f: f.status)
def test_a_finding_is_itself_again_after_json(finding: Finding) -> None:
    adapter: TypeAdapter[Finding] = TypeAdapter(Finding)
    assert adapter.validate_json(adapter.dump_json(finding)) == finding


def test_only_usable_evidence_makes_the_pattern_and_it_is_sorted() -> None:
    present, absent, rejected, failed = FINDINGS
    case = CaseRecord(
        case_key="c",
        patient_key="p",
        decision_time=NOON,
        evidence={"xray": (present,), "eeg": (rejected,), "note": (failed, absent), "ct": (rejected, present)},
    )
    assert case.pattern == ("ct", "xray")
    assert case.usable("ct") == (present,)
    assert case.usable("record") == ()
    assert CaseRecord.model_validate_json(case.model_dump_json()) == case


def test_nothing_can_be_changed_added_or_left_without_a_zone() -> None:
    with pytest.raises(ValidationError):
        FINDINGS[0].modality = "eeg"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Absent.model_validate({"modality": "ct", "patient_name": "x"})
    with pytest.raises(ValidationError):
        CaseRecord(case_key="c", patient_key="p", decision_time=datetime(2026, 3, 1))
