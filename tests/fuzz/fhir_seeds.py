"""A small, whole FHIR R4 bundle to damage: one resource of every type that is read, of a patient who never was."""

import base64
from typing import Any, Final

TOKEN: Final = "Zzyzxson"  # noqa: S105 - an invented name, to be looked for
LOINC: Final = "http://loinc.org"
RXNORM: Final = "http://www.nlm.nih.gov/research/umls/rxnorm"
SNOMED: Final = "http://snomed.info/sct"
UCUM: Final = "http://unitsofmeasure.org"
WHEN: Final = "2023-05-01T10:00:00Z"
LABS: Final = (
    ("718-7", "Hemoglobin", 12.1, "g/dL"),
    ("2951-2", "Sodium", 138.0, "mmol/L"),
    ("2160-0", "Creatinine", 1.1, "mg/dL"),
    ("6690-2", "Leukocytes", 9.5, "10*3/uL"),
    ("8310-5", "Body temperature", 37.9, "Cel"),
    ("29463-7", "Body weight", 71.5, "kg"),
)


def small_bundle() -> dict[str, Any]:
    """The bundle; names and addresses in it are TOKEN."""
    entries = [
        {"fullUrl": f"urn:uuid:{n:08}", "resource": one} for n, one in enumerate([_patient(), *_events(), *_labs()])
    ]
    return {"resourceType": "Bundle", "type": "collection", "timestamp": "2026-05-01T00:00:00Z", "entry": entries}


def _patient() -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": "p1",
        "meta": {"lastUpdated": WHEN, "profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"]},
        "identifier": [{"system": "urn:mrn", "value": TOKEN}],
        "name": [{"family": TOKEN, "given": [TOKEN]}],
        "address": [{"line": [TOKEN], "city": TOKEN}],
        "gender": "female",
        "birthDate": "1950-02-03",
    }


def _about(kind: str, system: str, code: str, display: str, **given: object) -> dict[str, Any]:
    return {
        "resourceType": kind,
        "id": f"{kind}-{code}",
        "subject": {"reference": "Patient/p1", "display": TOKEN},
        "code": {"coding": [{"system": system, "code": code, "display": display}], "text": display},
        **given,
    }


def _quantity(value: float, unit: str) -> dict[str, Any]:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


def _labs() -> list[dict[str, Any]]:
    labs = [
        _about("Observation", LOINC, code, display, status="final", effectiveDateTime=WHEN, issued=WHEN,
               valueQuantity=_quantity(value, unit), interpretation=[{"coding": [{"code": "N"}]}],
               referenceRange=[{"low": _quantity(value * 0.8, unit), "high": _quantity(value * 1.2, unit)}])
        for code, display, value, unit in LABS
    ]  # fmt: skip
    parts = [
        {"code": {"coding": [{"system": LOINC, "code": code}]}, "valueQuantity": _quantity(value, "mm[Hg]")}
        for code, value in (("8480-6", 131.0), ("8462-4", 84.0))
    ]
    pressure = _about(
        "Observation", LOINC, "85354-9", "Pressure", status="final", effectiveDateTime=WHEN, component=parts
    )
    return [*labs, pressure]


def _events() -> list[dict[str, Any]]:
    drug = {"coding": [{"system": RXNORM, "code": "314076", "display": "lisinopril"}]}
    note = {"contentType": "text/plain", "data": base64.b64encode(b"No focal lesion.").decode()}
    ct = {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"}
    order = _about("MedicationRequest", "", "1", "", status="active", intent="order", authoredOn=WHEN)
    allergy = _about("AllergyIntolerance", RXNORM, "1191", "Aspirin", recordedDate="2010-01-01", criticality="low")
    allergy["patient"] = allergy.pop("subject")
    stay = {"start": "2023-05-01T08:00:00Z", "end": "2023-05-03T08:00:00Z"}
    return [
        _about("Encounter", "", "2", "", status="finished", period=stay, **{"class": {"code": "IMP"}}),
        _about("Condition", SNOMED, "38341003", "Hypertension", recordedDate="2020-03-01"),
        {**{name: one for name, one in order.items() if name != "code"}, "medicationCodeableConcept": drug},
        _about("Procedure", SNOMED, "399208008", "Chest X-ray", status="completed", performedDateTime=WHEN),
        _about("DiagnosticReport", LOINC, "24627-2", "CT chest", status="final", effectiveDateTime=WHEN,
               conclusion="No lesion", presentedForm=[note]),
        _about("ImagingStudy", "", "3", "", status="available", started=WHEN, modality=[ct]),
        _about("DocumentReference", LOINC, "34117-2", "Note", status="current", date=WHEN,
               content=[{"attachment": note}]),
        allergy,
    ]  # fmt: skip
