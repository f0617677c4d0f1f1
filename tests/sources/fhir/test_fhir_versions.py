"""R4 and R4B are read; every other version is refused by its name, by what only that version has."""

import gzip
from datetime import UTC
from pathlib import Path
from typing import Any

import orjson
import pytest

from clinic_mm.sources.fhir.facts import READERS
from clinic_mm.sources.fhir.policy import marks_of, other_version
from clinic_mm.sources.record import patient as record
from tests.sources.fhir.fhir_made import PATIENT, bundle, counts, observation, resource

WHEN = {"start": "2023-05-01T08:00:00Z", "end": "2023-05-01T09:00:00Z"}
R5 = [
    resource("Encounter", status="completed", actualPeriod=WHEN, **{"class": [{"coding": [{"code": "AMB"}]}]}),
    resource("MedicationRequest", status="active", intent="order", medication={"concept": {"text": "x"}}),
    resource("Procedure", status="completed", occurrenceDateTime="2023-05-01"),
    resource("ImagingSelection", status="available"),
    resource("AllergyIntolerance", type={"coding": [{"code": "allergy"}]}),
    resource("DocumentReference", status="current", context=[{"reference": "Encounter/1"}]),
    resource("DiagnosticReport", status="final", study=[{"reference": "ImagingStudy/1"}]),
    {"resourceType": "CapabilityStatement", "fhirVersion": "5.0.0"},
    resource("Condition", meta={"profile": ["http://hl7.org/fhir/5.0/StructureDefinition/Condition"]}),
]
STU3 = [
    observation(context={"reference": "Encounter/1"}, comment="x"),
    resource("Condition", clinicalStatus="active", assertedDate="2017-01-01"),
    resource("Procedure", status="completed", notDone=False, performedDateTime="2017-01-01"),
    resource("ImagingStudy", uid="urn:oid:1.2.3", availability="ONLINE", patient={"reference": "Patient/p1"}),
    resource("AllergyIntolerance", clinicalStatus="active", assertedDate="2017-01-01"),
    resource("DocumentReference", status="current", indexed="2017-01-01T00:00:00Z"),
    resource("ProcedureRequest", status="active"),
    {"resourceType": "CapabilityStatement", "fhirVersion": "3.0.2"},
]
DSTU2 = [
    observation(comments="x", category={"coding": [{"code": "laboratory"}]}),
    resource("Condition", clinicalStatus="active", patient={"reference": "Patient/p1"}, dateRecorded="2015-01-01"),
    resource("Encounter", status="finished", patient={"reference": "Patient/p1"}, **{"class": "outpatient"}),
    resource("Procedure", status="completed", notPerformed=False),
    resource("AllergyIntolerance", status="active", substance={"text": "nut"}, lastOccurence="2014"),
    resource("MedicationOrder", status="active"),
]


@pytest.mark.parametrize(
    ("name", "one"),
    [*(("R5", one) for one in R5), *(("STU3", one) for one in STU3), *(("DSTU2", one) for one in DSTU2)],
)
def test_each_mark_alone_is_recognised_by_name(tmp_path: Path, name: str, one: dict[str, Any]) -> None:
    rows, (rejected,) = record.read_rows([bundle(tmp_path, PATIENT, one)], UTC)
    assert rows.empty
    assert (rejected.code, rejected.why) == ("fhir.version", f"This is FHIR {name}")
    assert "R4" in rejected.mend


@pytest.mark.parametrize("lines", [True, False])
def test_a_real_looking_file_of_r5_is_refused_as_a_whole(tmp_path: Path, lines: bool) -> None:
    alike = [observation(id=f"o{i}") for i in range(40)]  # results of R5 look like those of R4
    if lines:
        path = tmp_path / "all.ndjson"
        path.write_bytes(b"\n".join(orjson.dumps(one) for one in [PATIENT, *alike, R5[0]]))
    else:
        path = bundle(tmp_path, PATIENT, *alike, R5[0])
    rows, rejected = record.read_rows([path], UTC)
    assert rows.empty
    assert [one.why for one in rejected] == ["This is FHIR R5"]


def test_one_odd_resource_never_costs_a_bundle_of_r4(tmp_path: Path) -> None:
    stays = [resource("Encounter", status="finished", period=WHEN, reasonCode=[{"text": "x"}]) |
             {"id": f"e{i}", "class": {"code": "AMB"}} for i in range(3)]  # fmt: skip
    rows, rejected = record.read_rows([bundle(tmp_path, PATIENT, *stays, R5[0])], UTC)
    assert counts(rejected) == {"fhir.duplicate": 2, "fhir.version": 1}  # three stays that say the same
    assert set(rows["code"]) == {"sex", "birth_date", "local:AMB"}


def test_a_drug_of_r4_keeps_an_r5_neighbour_from_costing_the_file(tmp_path: Path) -> None:
    order = resource("MedicationRequest", status="active", authoredOn="2023-05-01",
                     medicationCodeableConcept={"coding": [{"code": "a"}]})  # fmt: skip
    rows, rejected = record.read_rows([bundle(tmp_path, PATIENT, order, {**R5[1], "id": "other"})], UTC)
    assert counts(rejected) == {"fhir.version": 1}
    assert "medication" in set(rows["category"])


@pytest.mark.realdata
def test_no_real_resource_of_r4_looks_like_another_version(data: Path) -> None:
    for path in sorted((data / "fhir").glob("*/*.gz")):
        content = gzip.decompress(path.read_bytes())
        given = (
            [orjson.loads(one) for one in content.splitlines()] if "ndjson" in path.name else [orjson.loads(content)]
        )
        inside = [e["resource"] for one in given for e in one.get("entry", ())] or given
        assert not [one for one in inside if "resourceType" in one and other_version(one)]


@pytest.mark.parametrize("kind", sorted({*READERS, "DocumentReference", "Medication"}))
def test_no_mark_is_an_element_of_r4b(kind: str) -> None:
    from fhir.resources.R4B import get_fhir_model_class

    fields = {field.alias or name for name, field in get_fhir_model_class(kind).model_fields.items()}
    assert not marks_of(kind).names & fields
