"""What cannot have happened to a patient, or to this patient, is refused, counted and named; the rest stands."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pytest

from clinic_mm.sources.fhir import collect as fhir_collect
from clinic_mm.sources.record import notes
from clinic_mm.sources.record import patient as record
from tests.sources.fhir.fhir_made import LOINC, PATIENT, bundle, counts, observation, resource

NOW = datetime(2024, 6, 1, tzinfo=UTC)


def read(folder: Path, *resources: object, **more: object) -> tuple[pd.DataFrame, dict[str, int]]:
    rows, rejected = record.read_rows([bundle(folder, *resources, **more)], UTC, NOW)
    return rows, counts(rejected)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"subject": {"reference": "Patient/p2"}}, "fhir.other_patient"),
        ({"subject": {"reference": "Patient/p2/_history/3"}}, "fhir.other_patient"),
        ({"subject": {"reference": "http://else.where/fhir/Patient/p2"}}, "fhir.other_patient"),
        ({"subject": {"reference": "Group/g1"}}, "fhir.no_patient"),
        ({"subject": {"reference": "#p"}, "contained": [{**PATIENT, "id": "p"}]}, "fhir.no_patient"),
        ({"subject": {"identifier": {"system": "urn:mrn", "value": "unknown"}}}, "fhir.no_patient"),
        ({"status": "entered-in-error"}, "fhir.entered_in_error"),
        ({"status": "registered"}, "fhir.not_done"),
        ({"status": "banana"}, "fhir.bad_status"),
        ({"effectiveDateTime": "2024-06-03"}, "fhir.future"),
        ({"effectiveDateTime": "9999-12-31"}, "fhir.future"),
        ({"effectiveDateTime": "1900-01-01"}, "fhir.far_past"),
        ({"effectiveDateTime": "0001-01-01T00:00:00Z"}, "fhir.far_past"),
        ({"effectiveDateTime": "1950-02-01"}, "fhir.before_birth"),
        ({"effectiveDateTime": "2024-02-05"}, "fhir.after_death"),
        ({"effectiveDateTime": "2023-02-30"}, "fhir.undated"),
        ({"code": {"coding": [{"system": LOINC, "code": "29463-7"}]},
          "valueQuantity": {"value": 80, "code": "mm[Hg]"}}, "fhir.unit_mismatch"),
        ({"valueQuantity": {"value": "12"}}, "fhir.bad_resource"),
        ({"valueQuantity": {"value": True}}, "fhir.bad_resource"),
        ({"valueQuantity": {"value": 1e300}}, "fhir.bad_resource"),
        ({"valueQuantity": {"value": 1, "comparator": "~"}}, "fhir.bad_resource"),
        ({"valueQuantity": None}, "fhir.no_value"),
        ({"code": None}, "fhir.no_code"),
    ],
)  # fmt: skip
def test_one_wrong_result_is_refused_by_its_reason(tmp_path: Path, changed: dict[str, Any], code: str) -> None:
    rows, left_out = read(tmp_path, PATIENT, observation(id="good"), observation(id="bad", **changed))
    assert left_out == {code: 1}
    assert rows["source_id"].tolist() == ["p1", "p1", "good"]


def test_what_comes_soon_after_death_or_late_in_a_zone_stands(tmp_path: Path) -> None:
    late = observation(id="x", effectiveDateTime="2024-01-20")
    _, left_out = read(tmp_path, {**PATIENT, "birthDate": "1950"}, late, observation(effectiveDateTime="1950-01-01"))
    assert left_out == {}


def test_nothing_is_later_than_the_bundle_that_holds_it(tmp_path: Path) -> None:
    _, left_out = read(tmp_path, PATIENT, observation(), timestamp="2023-04-01T00:00:00Z")
    assert left_out == {"fhir.future": 1}


def test_shifted_dates_are_kept_and_said(tmp_path: Path) -> None:
    patient = {"resourceType": "Patient", "id": "p1", "birthDate": "2091-01-01"}
    shifted = [observation(id=f"o{day}", effectiveDateTime=f"2150-01-{day:02}") for day in range(1, 26)]
    rows, left_out = read(tmp_path, patient, *shifted)
    assert left_out == {"fhir.shifted_dates": 25}
    assert rows["code"].tolist().count("loinc:718-7") == 25
    assert "2091-01-01" in rows["text"].tolist()


@pytest.mark.parametrize(
    ("second", "code", "kept"),
    [
        ({"gender": "male"}, "fhir.conflicting_patient", {"birth_date"}),
        ({"birthDate": "1951-02-03"}, "fhir.conflicting_patient", {"sex"}),
        ({"birthDate": "1950-02"}, None, {"sex", "birth_date"}),
        ({}, None, {"sex", "birth_date"}),
        ({"communication": [{"language": {"coding": [{"code": "de-CH"}]}}]}, None, {"sex", "birth_date", "language"}),
    ],
)
def test_entries_of_a_patient_that_contradict_each_other_are_not_used(
    tmp_path: Path, second: dict[str, str], code: str | None, kept: set[str]
) -> None:
    rows, left_out = read(tmp_path, PATIENT, {**PATIENT, **second})
    assert (left_out, set(rows["code"])) == ({code: 1} if code else {}, kept)


def spoken(code: object, **more: object) -> dict[str, object]:
    return {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": code}], "text": "as spoken"}, **more}


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        ([spoken("en-US")], ["en"]),
        ([spoken("en", preferred=False)], []),
        ([spoken("en"), spoken("es", preferred=True)], ["es"]),
        ([spoken("en"), spoken("es")], []),
        ([spoken("en", preferred=True), spoken("es", preferred=True)], []),
        ([spoken("pt-BR", preferred=True), spoken("pt", preferred=True)], ["pt"]),
        ([{"language": {"text": "English"}}], []),
        ([{"language": {"coding": [{"system": "http://site/languages", "code": "en"}]}}], []),
        ([spoken("und")], []),
        ([spoken("english")], []),
        ([spoken(7)], []),
        (["en"], []),
        ("en", []),
        ({"language": "en"}, []),
    ],
    ids=str,
)
def test_a_language_is_the_preferred_or_the_only_one_and_never_guessed(
    tmp_path: Path, listed: object, told: list[str]
) -> None:
    rows, left_out = read(tmp_path, {**PATIENT, "communication": listed})
    assert left_out == {}
    assert rows.loc[rows["code"] == "language", "text"].tolist() == told


def test_two_languages_said_of_one_patient_are_none(tmp_path: Path) -> None:
    rows, left_out = read(tmp_path, *({**PATIENT, "communication": [spoken(code)]} for code in ("en", "de")))
    assert (left_out, set(rows["code"])) == ({"fhir.conflicting_patient": 1}, {"sex", "birth_date"})


@pytest.mark.parametrize(
    ("born", "code"), [("2024-02-01", "fhir.birth_after_death"), ("2030-01-01", "fhir.birth_after_death"),
                       ("1850-01-01", "fhir.far_past")],
)  # fmt: skip
def test_a_birth_that_cannot_be_is_not_used(tmp_path: Path, born: str, code: str) -> None:
    rows, left_out = read(tmp_path, {**PATIENT, "birthDate": born}, observation())
    assert (left_out, rows["code"].tolist()) == ({code: 1}, ["sex", "loinc:718-7"])


def test_the_same_resource_twice_counts_once(tmp_path: Path) -> None:
    rows, left_out = read(tmp_path, observation(), observation(), observation(id="again"))
    assert (len(rows), left_out) == (1, {"fhir.duplicate": 2})


def test_of_two_versions_the_newer_counts_wherever_it_stands(tmp_path: Path) -> None:
    new = observation(valueQuantity={"value": 9.0, "code": "g/dL"}, meta={"lastUpdated": "2023-05-03T00:00:00Z"})
    old = observation(meta={"lastUpdated": "2023-05-02T00:00:00Z"})
    for pair in ((old, new), (new, old)):
        rows, left_out = read(tmp_path, *pair)
        assert (rows["value"].tolist(), left_out) == ([9.0], {"fhir.superseded": 1})


def test_of_two_versions_of_unknown_age_none_counts(tmp_path: Path) -> None:
    rows, left_out = read(tmp_path, observation(), observation(valueQuantity={"value": 9.0, "code": "g/dL"}))
    assert (len(rows), left_out) == (0, {"fhir.conflicting": 2})


def test_what_was_entered_in_error_takes_its_earlier_version_along(tmp_path: Path) -> None:
    rows, left_out = read(tmp_path, observation(), observation(status="entered-in-error"))
    assert (len(rows), left_out) == (0, {"fhir.entered_in_error": 1})


def test_two_patients_may_use_the_same_id(tmp_path: Path) -> None:
    rows, left_out = read(tmp_path, observation(), observation(subject={"reference": "Patient/p2"}))
    assert (sorted(rows["patient_id"]), left_out) == (["p1", "p2"], {})


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "Patient/p1"},
        {"reference": "Patient/p1/_history/2"},
        {"reference": "https://ehr.example/fhir/Patient/p1"},
        {"reference": "Patient?identifier=urn:mrn|77"},
        {"type": "Patient", "identifier": {"system": "urn:mrn", "value": "77"}},
    ],
)
def test_a_patient_is_found_however_it_is_referred_to(tmp_path: Path, subject: dict[str, Any]) -> None:
    files = [
        bundle(tmp_path, observation(subject=subject), name="a.json"),
        bundle(tmp_path, {**PATIENT, "identifier": [{"system": "urn:mrn", "value": "77"}]}, name="b.json"),
    ]
    rows, rejected = record.read_rows(files, UTC, NOW)
    assert (set(rows["patient_id"]), rejected) == ({"p1"}, [])


def test_two_servers_may_use_the_same_id_for_two_patients_and_they_are_never_merged(tmp_path: Path) -> None:
    given = [
        ("http://a/Patient/p1", PATIENT),
        ("http://b/Patient/p1", PATIENT),
        ("http://a/Observation/o1", observation()),
    ]
    entries = [{"fullUrl": url, "resource": one} for url, one in given]
    (tmp_path / "b.json").write_bytes(orjson.dumps({"resourceType": "Bundle", "entry": entries}))
    rows, rejected = record.read_rows([tmp_path / "b.json"], UTC, NOW)
    assert rows.empty
    assert counts(rejected) == {"fhir.conflicting_patient": 2, "fhir.no_patient": 1}


def test_an_identifier_of_two_patients_is_nobodys(tmp_path: Path) -> None:
    both = {"identifier": [{"system": "urn:mrn", "value": "77"}]}
    subject = {"identifier": {"system": "urn:mrn", "value": "77"}}
    rows, left_out = read(tmp_path, {**PATIENT, **both}, {**PATIENT, **both, "id": "p2"}, observation(subject=subject))
    assert left_out == {"fhir.no_patient": 1}
    assert set(rows["category"]) == {"demographic"}


def test_values_come_in_one_unit_with_their_range_and_what_the_source_thinks(tmp_path: Path) -> None:
    given = observation(
        valueQuantity={"value": 130, "unit": "g/L"},
        referenceRange=[{"low": {"value": 120, "unit": "g/L"}, "high": {"value": 16, "unit": "g/dL"}}],
        interpretation=[{"coding": [{"code": "N"}]}],
    )
    rows, _ = read(tmp_path, given)
    kept = rows[["value", "unit", "ref_low", "ref_high", "interpretation"]]
    assert kept.to_numpy().tolist() == [[13.0, "g/dL", 12.0, 16.0, "N"]]


@pytest.mark.parametrize(
    "ranges",
    [
        [{"low": {"value": 20}, "high": {"value": 10}}],
        [{"low": {"value": 1}, "type": {"coding": [{"code": "therapeutic"}]}}],
        [{"low": {"value": 1}}, {"low": {"value": 2}}],
        [{"low": {"value": 1, "unit": "mm[Hg]"}}],
    ],
)
def test_a_range_that_may_not_be_the_normal_one_is_left_out(tmp_path: Path, ranges: list[object]) -> None:
    rows, _ = read(tmp_path, observation(referenceRange=ranges))
    assert rows[["ref_low", "ref_high"]].isna().all(axis=None)


def test_results_inside_a_report_are_read(tmp_path: Path) -> None:
    inside = observation(id="o", subject=None, effectiveDateTime=None)
    report = resource("DiagnosticReport", status="final", effectiveDateTime="2023-05-01T10:00:00Z", contained=[inside])
    rows, left_out = read(tmp_path, report)
    assert (rows["source_id"].tolist(), left_out) == (["Dia", "Dia#o"], {})


def test_one_wrong_component_leaves_the_others(tmp_path: Path) -> None:
    def part(code: str, unit: str) -> dict[str, Any]:
        return {"code": {"coding": [{"system": LOINC, "code": code}]}, "valueQuantity": {"value": 80, "code": unit}}

    parts = [part("8480-6", "mm[Hg]"), part("8462-4", "kg")]
    rows, left_out = read(tmp_path, observation(valueQuantity=None, component=parts))
    assert (rows["code"].tolist(), left_out) == (["loinc:8480-6"], {"fhir.unit_mismatch": 1})


def test_what_was_seen_is_shown_with_the_record_of_one_file(tmp_path: Path) -> None:
    path = bundle(tmp_path, PATIENT, observation(), observation(id="x", subject={"reference": "Patient/p2"}))
    assert [flag.code for flag in record.load([path]).flags] == ["fhir.other_patient"]


def test_notes_are_checked_as_facts_are(tmp_path: Path) -> None:
    def note(**changed: object) -> dict[str, Any]:
        text = {"attachment": {"contentType": "text/plain", "data": "aGk="}}
        return resource("DocumentReference", status="current", date="2023-01-01", content=[text]) | changed

    given = [note(), note(id="a", subject={"reference": "Patient/p2"}), note(id="b", date="2040-01-01"),
             note(id="c", status="entered-in-error"), note(id="d"), note(id="e", date="1940-01-01")]  # fmt: skip
    rows, rejected = notes.read_notes([bundle(tmp_path, PATIENT, *given)], UTC, NOW)
    assert len(rows) == 1
    assert counts(rejected) == {
        "fhir.before_birth": 1, "fhir.duplicate": 1, "fhir.entered_in_error": 1, "fhir.future": 1,
        "fhir.other_patient": 1,
    }  # fmt: skip


def test_every_reason_has_words(tmp_path: Path) -> None:
    import re

    source = "".join(path.read_text() for path in Path(record.__file__).parent.glob("fhir*.py"))
    met = set(re.findall(r'trouble(?:s\[|\()"((?:fhir|note)\.[a-z_]+)"', source))
    assert met <= set(fhir_collect.WHY)
    assert orjson.dumps(fhir_collect.WHY)
