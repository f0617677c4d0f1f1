"""Lanes hold the facts of the record: nothing converted, invented or identifying; what is left out is counted."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from clinic_mm.signals import RECORD_COLUMNS, PatientRecord
from clinic_mm.viewing.timeline import MOST_FACTS, timeline

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOSTILE = "<img src=x onerror=alert(1)>"


def fact(hours: float | None, category: str = "observation", code: str = "loinc:718-7", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    time = pd.NaT if hours is None else pd.Timestamp(AT - timedelta(hours=hours))
    plain = dict.fromkeys(RECORD_COLUMNS, "") | {"value": np.nan, "ref_low": np.nan, "ref_high": np.nan}
    return plain | {"patient_id": "p7", "source_id": "s9", "category": category, "code": code, "time": time} | more


def record(*facts: dict[str, Any]) -> PatientRecord:
    rows = pd.DataFrame(list(facts), columns=list(RECORD_COLUMNS))
    rows["time"] = pd.to_datetime(rows["time"], utc=True)
    return PatientRecord(rows.sort_values("time", kind="stable", ignore_index=True))


def lanes(*facts: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {lane["name"]: lane for lane in timeline(record(*facts), AT)["lanes"]}


HB: dict[str, Any] = {"display": "Hemoglobin [Mass/volume] in Blood", "unit": "g/dL", "ref_low": 12.0, "ref_high": 16.0}


def test_a_value_keeps_its_number_unit_range_flag_and_time() -> None:
    (lane,) = lanes(fact(50, value=13.456, **HB), fact(2, value=9.1, interpretation="LL", **HB)).values()
    assert (lane["name"], lane["unit"], lane["low"], lane["high"], lane["kind"]) == (
        "Hemoglobin",
        "g/dL",
        12,
        16,
        "numbers",
    )
    before, newest = lane["facts"]
    assert newest == {
        "hours": 2.0,
        "value": 9.1,
        "words": "9.1 g/dL",
        "range": "12–16",
        "flag": "LL",
        "said": "critically low",
        "alarm": True,
        "when": "2026-03-01 10:00",
    }
    assert (before["value"], before["hours"], before["flag"], before["alarm"]) == (13.456, 50.0, "", False)


@pytest.mark.parametrize(
    ("value", "given", "flag", "said", "alarm"),
    [
        (17.0, "", "H", "above the reference range", True),
        (11.0, "", "L", "below the reference range", True),
        (16.0, "", "", "", False),
        (17.0, "N", "N", "normal", False),
        (14.0, "XYZ", "XYZ", "XYZ", True),
    ],
)
def test_the_source_has_the_last_word_on_a_flag(value: float, given: str, flag: str, said: str, alarm: bool) -> None:
    (lane,) = lanes(fact(1, value=value, interpretation=given, **HB)).values()
    assert [lane["facts"][0][name] for name in ("flag", "said", "alarm")] == [flag, said, alarm]


def test_two_units_are_two_lanes() -> None:
    found = timeline(record(fact(1, value=13.0, **HB), fact(2, value=130.0, **HB | {"unit": "g/L"})), AT)["lanes"]
    assert sorted((lane["unit"], len(lane["facts"])) for lane in found) == [("g/L", 1), ("g/dL", 1)]


def test_a_lane_is_named_and_ranged_as_the_source_did_last_and_what_was_measured_often_stands_first() -> None:
    found = timeline(
        record(
            fact(9, code="loinc:1", value=140.0, display="Na", unit="mmol/L", ref_low=130.0, ref_high=150.0),
            fact(8, value=13.0, **HB),
            fact(7, code="loinc:1", value=141.0, display="Sodium", unit="mmol/L", ref_low=135.0),
            fact(1, code="loinc:1", value=142.0, display="Sodium [Moles/volume]", unit="mmol/L"),
        ),
        AT,
    )["lanes"]
    assert [(lane["name"], len(lane["facts"]), lane["low"], lane["high"]) for lane in found] == [
        ("Sodium", 3, 135.0, None),
        ("Hemoglobin", 1, 12.0, 16.0),
    ]


def test_events_share_lanes_and_stand_first() -> None:
    found = lanes(
        fact(1, value=13.0, **HB),
        fact(30, "medication", "rxnorm:1", display="Heparin"),
        fact(20, "encounter", "snomed:1", display="Admission"),
        fact(10, "medication", "rxnorm:2", display="Insulin", value=4.0, unit="U"),
        fact(9, code="loinc:9", display="Culture", text="no growth"),
    )
    assert list(found) == ["Encounters", "Medication", "Hemoglobin", "Other findings"]
    assert [one["words"] for one in found["Medication"]["facts"]] == ["Heparin", "Insulin 4 U"]
    assert found["Other findings"]["facts"][0]["words"] == "Culture no growth"


def test_nothing_identifying_goes_out_and_hostile_text_stays_text() -> None:
    told = timeline(
        record(
            fact(None, "demographic", "birth_date", text="1958-05-02"),
            fact(1, "condition", "snomed:2", display=HOSTILE),
            fact(None, "condition", "snomed:3", display="Undated"),
        ),
        AT,
    )
    sent = json.dumps(told)
    assert not [one for one in ("p7", "s9", "1958") if one in sent]
    assert json.loads(sent)["lanes"][0]["facts"][0]["words"] == HOSTILE
    assert told["undated"] == 1


def test_what_is_left_out_is_counted_and_an_empty_record_has_no_lanes() -> None:
    many = record(*(fact(hours, value=1.0, **HB) for hours in range(MOST_FACTS + 5)))
    told = timeline(many, AT)
    assert told["left_out"] == 5
    assert max(one["hours"] for one in told["lanes"][0]["facts"]) == MOST_FACTS - 1
    assert timeline(record(), AT)["lanes"] == []


def test_studies_of_the_case_stand_in_a_lane_of_their_own() -> None:
    taken = [("CT", AT - timedelta(hours=5)), ("EEG", None), ("Chest X-ray", AT - timedelta(hours=30))]
    told = timeline(record(fact(1, value=13.0, **HB)), AT, studies=taken)
    assert [lane["name"] for lane in told["lanes"]] == ["Studies", "Hemoglobin"]
    assert [(one["words"], one["hours"]) for one in told["lanes"][0]["facts"]] == [("Chest X-ray", 30.0), ("CT", 5.0)]
    assert timeline(record(), AT, studies=taken)["lanes"]


def test_without_a_decision_time_hours_count_from_the_newest_fact() -> None:
    told = timeline(record(fact(5, value=1.0, **HB), fact(3, value=1.0, **HB)), None)
    assert not told["decision"]
    assert [one["hours"] for one in told["lanes"][0]["facts"]] == [2.0, 0.0]
