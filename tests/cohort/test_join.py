"""What a case may know: nothing after its decision time, nothing undated unless that is accepted."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinic_mm.cohort.cases import case_frame, form_cases, label_values
from clinic_mm.cohort.ingest import evidence_frame
from clinic_mm.errors import TaskError
from clinic_mm.task import DecisionTime
from clinic_mm.types import Absent, CaseRecord, Evidence, Failed, Rejected

DAY0 = datetime(2024, 1, 1, tzinfo=UTC)
MODALITIES = ("ct", "record", "note")


def _day(number: float | None) -> datetime | None:
    return None if number is None else DAY0 + timedelta(days=number)


def _evidence(found: list[tuple[str, Evidence | Rejected | Failed]], *, accept: bool = False) -> pd.DataFrame:
    frame = evidence_frame(found, {})
    return frame.assign(accept_undated=accept)


def _ct(patient: str, day: float | None) -> tuple[str, Evidence]:
    return patient, Evidence(modality="ct", root="files", paths=(f"{day}.dcm",), acquired_at=_day(day))


def _rows(patient: str, name: str) -> tuple[str, Evidence]:
    return patient, Evidence(modality=name, root="cohort", paths=(f"{name}.parquet",), locator=patient)


def _times(*rows: tuple[str, float | None]) -> pd.DataFrame:
    frame = pd.DataFrame([(p, _day(d)) for p, d in rows], columns=["patient_key", "time"])
    return frame.astype({"patient_key": "str", "time": "datetime64[us, UTC]"})


def _cases(
    labels: list[tuple[str, float | None]], evidence: pd.DataFrame, rows: dict[str, pd.DataFrame] | None = None
) -> tuple[CaseRecord, ...]:
    table = _times(*labels).rename(columns={"time": "decision_time"})
    frame = case_frame(table, [], DecisionTime(), ["decision_time"])
    return form_cases(frame, [None] * len(frame.rows), evidence, rows or {}, MODALITIES, [])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.one_of(st.none(), st.floats(-10, 10)), max_size=8), st.floats(-10, 10), st.booleans())
def test_nothing_later_or_undated_is_usable(days: list[float | None], due: float, accept: bool) -> None:
    (case,) = _cases([("p", due)], _evidence([_ct("p", day) for day in days], accept=accept))
    usable = case.usable("ct")
    assert all(e.acquired_at is None or e.acquired_at <= case.decision_time for e in usable)
    known = [e.acquired_at for e in usable if e.acquired_at]
    assert known == sorted(known)
    assert len(known) == sum(day is not None and _day(day) <= case.decision_time for day in days)
    undated = [e for e in usable if e.acquired_at is None]
    assert len(undated) == (days.count(None) if accept else 0)
    assert all(any(flag.code == "time.undated" for flag in e.flags) for e in undated)
    refused = [f.code for f in case.evidence["ct"] if isinstance(f, Rejected)]
    assert len(usable) + len(refused) == len(days)


def test_evidence_at_the_decision_time_is_known_by_then() -> None:
    (case,) = _cases([("p", 1.0)], _evidence([_ct("p", 1.0)]))
    assert case.pattern == ("ct",)


def test_each_patient_has_only_its_own_evidence() -> None:
    cases = _cases([("p", 5.0), ("q", 5.0)], _evidence([_ct("p", 1.0)]))
    assert [c.pattern for c in cases] == [("ct",), ()]
    assert cases[1].evidence["ct"] == (Absent(modality="ct"),)


def test_one_patient_may_be_asked_about_twice() -> None:
    early, late = _cases([("p", 1.5), ("p", 2.5)], _evidence([_ct("p", 1.0), _ct("p", 2.0)]))
    assert (len(early.usable("ct")), len(late.usable("ct"))) == (1, 2)
    assert early.case_key != late.case_key
    assert early.evidence["ct"][1].code == "time.after_decision"


def test_a_patient_asked_about_twice_at_one_time_is_refused() -> None:
    with pytest.raises(TaskError, match="repeat a patient"):
        _cases([("p", 1.0), ("p", 1.0)], _evidence([]))


@pytest.mark.parametrize(
    ("rows", "status", "code"),
    [
        ([("p", 1.0), ("p", 9.0)], "present", ""),
        ([("p", 9.0)], "rejected", "time.after_decision"),
        ([("p", None), ("p", 9.0)], "present", ""),
        ([("q", 1.0)], "absent", ""),
    ],
)
def test_a_record_is_present_where_a_fact_was_known_by_then(
    rows: list[tuple[str, float | None]], status: str, code: str
) -> None:
    (case,) = _cases([("p", 5.0)], _evidence([_rows("p", "record")]), {"record": _times(*rows)})
    (finding,) = case.evidence["record"]
    assert (finding.status, getattr(finding, "code", "")) == (status, code)
    if isinstance(finding, Evidence):
        assert finding.until == case.decision_time
        assert finding.acquired_at == _day(rows[0][1])


def test_refusals_and_failures_stay_in_the_case_with_their_reasons() -> None:
    bad = Rejected(modality="ct", code="ct.missing_slices", why="Slices are missing", root="files", paths=("a",))
    (case,) = _cases([("p", 5.0)], _evidence([("p", bad), ("p", Failed(modality="ct", why="Ours"))]))
    assert {f.status for f in case.evidence["ct"]} == {"rejected", "failed"}


def test_without_labels_there_is_one_case_per_patient_and_all_is_flagged() -> None:
    frame = case_frame(None, ["p"], None, [])
    (case,) = form_cases(frame, [None], _evidence([_ct("p", 1.0)]), {}, MODALITIES, [])
    assert case.decision_time is None
    assert [flag.code for flag in case.usable("ct")[0].flags] == ["time.no_decision"]


def test_a_row_without_the_event_forms_no_case() -> None:
    labels = _times(("p", 1.0), ("q", None)).rename(columns={"time": "surgery"})
    frame = case_frame(labels, [], DecisionTime(column="surgery", offset_h=24), ["surgery"])
    assert (len(frame.rows), frame.left_out) == (1, 1)
    assert frame.rows["decision_time"].tolist() == [_day(2.0)]


def test_an_unknown_time_column_is_answered_with_the_known_ones() -> None:
    with pytest.raises(TaskError, match="admission"):
        case_frame(_times(("p", 1.0)), [], DecisionTime(column="surgery"), ["admission"])


@pytest.mark.parametrize(
    ("values", "classes", "expected"),
    [
        ([0, 1, None], None, [0, 1, None]),
        ([True, False], None, [1, 0]),
        (["no", "yes", None], ("no", "yes"), [0, 1, None]),
        ([2, 0], ("a", "b", "c"), [2, 0]),
    ],
)
def test_labels_become_class_numbers(
    values: list[object], classes: tuple[str, ...] | None, expected: list[int]
) -> None:
    assert label_values(pd.DataFrame({"y": values}), "y", classes) == expected


@pytest.mark.parametrize(
    ("values", "classes"), [([0.5], None), ([-1], None), ([2], ("a", "b")), (["maybe"], ("no", "yes")), (["yes"], None)]
)
def test_a_label_that_is_no_class_is_refused(values: list[object], classes: tuple[str, ...] | None) -> None:
    with pytest.raises(TaskError, match="neither a class number"):
        label_values(pd.DataFrame({"y": values}), "y", classes)
