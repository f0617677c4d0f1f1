"""Nothing after the decision: in evidence it is an error, in the words of a note a finding."""

from datetime import timedelta

import pandas as pd
import pytest

from clinic_mm.evaluate.leaks.times import dates_in_notes, days_of, late_evidence
from clinic_mm.types import CaseRecord, Evidence
from tests.made import DECISION, case_record


def case(days: float) -> CaseRecord:
    one = Evidence(modality="xray", root="r", paths=("a",), acquired_at=DECISION + timedelta(days=days))
    return case_record(0, 1).model_copy(update={"evidence": {"xray": (one,)}})


def test_evidence_after_the_decision_is_an_error_that_names_the_case() -> None:
    (leak,) = late_evidence([case(-1), case(0.1)]).leaks
    assert (leak.code, leak.severity, leak.n, leak.cases) == ("time.after_decision", "error", 1, ("c000",))
    assert not late_evidence([case(-1), case(0)]).leaks


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("seen 2026-03-05", ["2026-03-05"]),
        ("am 5.3.2026", ["2026-03-05"]),
        ("5 March 2026, and Mar 6, 2026", ["2026-03-05", "2026-03-06"]),
        ("03/05/2026 can be read in two ways; 31.2.2026 is no day; 99.99.2026", []),
        ("May 2026; room 12.5, 2026 ml", []),
    ],
)
def test_days_count_where_they_can_be_read_in_one_way(text: str, days: list[str]) -> None:
    assert sorted(f"{day:%Y-%m-%d}" for day in days_of(text)) == days


def test_a_note_that_names_a_later_day_is_a_finding() -> None:
    known = Evidence(modality="note", root="cohort", paths=("note.parquet",))
    mine = case_record(0, 1).model_copy(update={"evidence": {"note": (known,)}})
    time = pd.Timestamp(DECISION - timedelta(days=1))
    rows = [("p000", time, "Died on 2026-04-01."), ("p001", time, "2026-04-01")]
    notes = pd.DataFrame(rows, columns=["patient_key", "time", "text"])
    (leak,) = dates_in_notes([mine], notes).leaks
    assert (leak.severity, leak.n) == ("finding", 1)
    later = notes.assign(time=pd.Timestamp(DECISION + timedelta(days=60)))
    assert not dates_in_notes([mine], later).leaks  # not known by the decision, so it serves nobody
