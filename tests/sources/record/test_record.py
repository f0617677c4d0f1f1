import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pytest

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import RECORD_COLUMNS
from clinic_mm.sources.record import patient as record
from clinic_mm.sources.record.rows import TIME_TYPE
from tests.sources.fhir.fhir_made import LOINC, PATIENT, bundle, counts, observation


def only(folder: Path, resource: dict[str, Any]) -> dict[str, Any]:
    rows, rejected = record.read_rows([bundle(folder, resource)], UTC)
    assert not rejected
    (row,) = rows.to_dict("records")
    return row


@pytest.mark.realdata
def test_synthea_bundles_give_one_fact_for_each_value_and_event(data: Path) -> None:
    files = sorted((data / "fhir" / "synthea_r4").glob("*.json.gz"))
    rows, rejected = record.read_rows(files, UTC)
    resources = [e["resource"] for f in files for e in orjson.loads(gzip.decompress(f.read_bytes()))["entry"]]
    observed = [r for r in resources if r["resourceType"] == "Observation"]
    values = sum(any(k.startswith("value") for k in r) + len(r.get("component", ())) for r in observed)
    others = {"encounter": 1106, "procedure": 613, "report": 536, "medication": 358, "condition": 310,
              "demographic": 120, "imaging": 54, "allergy": 14}  # fmt: skip
    left_out = counts(rejected)
    assert left_out == {"fhir.duplicate": 67, "fhir.after_death": 20}  # Synthea goes on after a death now and then
    assert len(rows) + sum(left_out.values()) == values + sum(others.values())
    kept = rows["category"].value_counts()
    assert all(0.97 * count < kept[category] <= count for category, count in others.items())
    assert tuple(rows.columns) == RECORD_COLUMNS
    assert str(rows["time"].dtype) == TIME_TYPE
    assert rows["patient_id"].nunique() == 40
    assert rows["code"].str.match(r"^(loinc|snomed|rxnorm|dcm):|^(sex|birth_date|language)$").all()
    assert rows.loc[rows["code"] == "language", "text"].value_counts().to_dict() == {"en": 34, "es": 5, "zh": 1}
    assert rows.loc[rows["category"] != "demographic", "time"].notna().all()
    assert rows.loc[rows["code"] == "loinc:8302-2", "unit"].eq("cm").all()


@pytest.mark.realdata
def test_a_bulk_export_is_read_across_its_files(data: Path) -> None:
    files = sorted((data / "fhir" / "synthea_bulk10").glob("*.ndjson.gz"))
    rows, rejected = record.read_rows(files, UTC)
    assert rows["patient_id"].nunique() == 13
    left_out = counts(rejected)
    assert left_out == {"fhir.not_fhir": 1, "fhir.duplicate": 4}  # the first is the export's own log
    events = 555 + 1215 + 1745 + 2056 + 11  # conditions, encounters, prescriptions, procedures, allergies
    assert (rows["category"] != "demographic").sum() + 4 == events


def test_no_name_address_or_death_stands_in_the_rows(tmp_path: Path) -> None:
    rows, _ = record.read_rows([bundle(tmp_path, PATIENT)], UTC)
    assert set(zip(rows["code"], rows["text"], strict=True)) == {("sex", "female"), ("birth_date", "1950-02-03")}
    assert not [word for word in ("Doe", "Bern", "2024") if word in rows.to_csv()]


def test_a_result_has_the_first_known_code_its_ucum_unit_and_a_time_in_utc(tmp_path: Path) -> None:
    row = only(tmp_path, observation())
    assert (row["code"], row["value"], row["unit"]) == ("loinc:718-7", 12.5, "g/dL")
    assert row["time"] == pd.Timestamp("2023-05-01T08:00:00Z")


def test_a_result_is_known_when_it_is_issued(tmp_path: Path) -> None:
    row = only(tmp_path, observation(issued="2023-05-02T09:00:00Z"))
    assert row["time"] == pd.Timestamp("2023-05-02T09:00:00Z")


def test_a_bare_date_is_the_end_of_its_day(tmp_path: Path) -> None:
    assert only(tmp_path, observation(effectiveDateTime="2023-05-01"))["time"].hour == 23


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"valueQuantity": {"value": 0.3, "comparator": "<", "unit": "g/dL"}}, "<0.3"),
        ({"valueQuantity": None, "valueCodeableConcept": {"coding": [{"code": "N", "display": "Never"}]}}, "Never"),
        ({"valueQuantity": None, "valueString": "turbid"}, "turbid"),
        ({"valueQuantity": None, "valueBoolean": False}, "false"),
        ({"valueQuantity": None, "valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 128}}}, "1:128"),
    ],
)
def test_what_is_no_plain_number_becomes_text(tmp_path: Path, value: dict[str, Any], text: str) -> None:
    row = only(tmp_path, observation(**value))
    assert pd.isna(row["value"])
    assert row["text"] == text


def test_components_are_facts_of_their_own(tmp_path: Path) -> None:
    part = {"code": {"coding": [{"system": LOINC, "code": "8480-6"}]}, "valueQuantity": {"value": 120}}
    row = only(tmp_path, observation(valueQuantity=None, component=[part]))
    assert (row["code"], row["value"]) == ("loinc:8480-6", 120.0)


def test_a_medication_may_be_a_resource_of_another_file(tmp_path: Path) -> None:
    order = {"resourceType": "MedicationRequest", "id": "m", "status": "active", "authoredOn": "2020-01-01",
             "subject": {"reference": "Patient/p1"},
             "medicationReference": {"reference": "Medication/med1"}}  # fmt: skip
    rxnorm = {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "1049502", "display": "Oxycodone"}
    drug = {"resourceType": "Medication", "id": "med1", "code": {"coding": [rxnorm]}}
    files = [bundle(tmp_path, order, name="a.json"), bundle(tmp_path, drug, name="b.json")]
    rows, _ = record.read_rows(files, UTC)
    assert (rows["code"][0], rows["display"][0]) == ("rxnorm:1049502", "Oxycodone")


def test_a_bundle_entry_is_known_by_its_address(tmp_path: Path) -> None:
    address = "urn:uuid:5d1a252c-b4ea-4686-8577-ce7eac7ec3a0"
    result = observation(subject={"reference": address})
    entries = [{"fullUrl": "urn:uuid:x", "resource": result}, {"fullUrl": address, "resource": PATIENT}]
    (tmp_path / "b.json").write_bytes(orjson.dumps({"resourceType": "Bundle", "entry": entries}))
    rows, _ = record.read_rows([tmp_path / "b.json"], UTC)
    assert set(rows["patient_id"]) == {"p1"}


def test_one_bad_resource_never_costs_the_bundle(tmp_path: Path) -> None:
    bad = [observation(valueQuantity={"value": "high"}), observation(code=[1]), {"resourceType": 7}, "text",
           observation(id="x", status="entered-in-error"), observation(subject=None), observation(code={}),
           observation(effectiveDateTime="yesterday"), observation(component=7)]  # fmt: skip
    rows, rejected = record.read_rows([bundle(tmp_path, *bad, PATIENT, observation())], UTC)
    assert len(rows) == 3
    assert counts(rejected) == {
        "fhir.bad_resource": 5, "fhir.entered_in_error": 1, "fhir.no_patient": 1, "fhir.no_code": 1, "fhir.undated": 1,
    }  # fmt: skip


def test_a_bad_line_never_costs_the_export(tmp_path: Path) -> None:
    path = tmp_path / "Observation.ndjson"
    path.write_bytes(
        orjson.dumps(observation())
        + b"\n{broken\n\n"
        + orjson.dumps(observation(id="o2", valueInteger=3, valueQuantity=None))
        + b"\n"
    )
    rows, rejected = record.read_rows([path], UTC)
    assert (len(rows), [one.code for one in rejected]) == (2, ["fhir.bad_line"])


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.json", b"{not json", "fhir.not_json"),
        ("a.json", b'{"a": 1}', "fhir.not_fhir"),
        ("a.json.gz", gzip.compress(b"{}" * 999, mtime=0)[:-9], "fhir.unreadable"),
        ("a.json", orjson.dumps({"resourceType": "CapabilityStatement", "fhirVersion": "5.0.0"}), "fhir.version"),
        ("a.json", orjson.dumps(observation(
            meta={"profile": ["http://hl7.org/fhir/STU3/StructureDefinition/Observation"]})), "fhir.version"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_named_with_the_reason(
    tmp_path: Path, name: str, content: bytes, code: str
) -> None:
    (tmp_path / name).write_bytes(content)
    good = bundle(tmp_path, observation(), name="good.json")
    rows, rejected = record.read_rows([tmp_path / name, good], UTC)
    assert (len(rows), [one.code for one in rejected]) == (1, [code])


def test_a_record_is_cut_to_what_was_known(tmp_path: Path) -> None:
    later = observation(id="o2", effectiveDateTime="2023-06-01T00:00:00Z")
    path = bundle(tmp_path, PATIENT, observation(), later)
    until = datetime(2023, 5, 2, tzinfo=UTC)
    assert set(record.load([path], until=until).rows["source_id"]) == {"p1", "o1"}
    assert len(record.load([path]).rows) == 4


def test_of_several_patients_one_must_be_named(tmp_path: Path) -> None:
    path = bundle(tmp_path, observation(), observation(subject={"reference": "Patient/p2"}))
    assert set(record.load([path], locator="p2").rows["patient_id"]) == {"p2"}
    with pytest.raises(EvidenceError) as caught:
        record.load([path])
    assert caught.value.code == "record.several_patients"


def test_the_cohorts_table_gives_one_patient_with_undated_facts_flagged(tmp_path: Path) -> None:
    rows, _ = record.read_rows([bundle(tmp_path, PATIENT, observation())], UTC)
    timeless = rows.assign(time=pd.NaT)
    both = pd.concat([rows.assign(patient_key="k1"), timeless.assign(patient_key="k2")]).drop(columns="patient_id")
    both.to_parquet(tmp_path / "record.parquet", index=False)
    known = record.load([tmp_path / "record.parquet"], locator="k1", until=datetime(2024, 1, 1, tzinfo=UTC))
    undated = record.load([tmp_path / "record.parquet"], locator="k2", until=datetime(2024, 1, 1, tzinfo=UTC))
    assert (tuple(known.rows.columns), len(known.rows), known.flags) == (RECORD_COLUMNS, 3, ())
    assert [flag.code for flag in undated.flags] == ["record.undated"]
    with pytest.raises(EvidenceError) as caught:
        record.load([tmp_path / "record.parquet"], locator="k3")
    assert caught.value.code == "record.no_facts"
