"""Small FHIR R4 resources of a patient who never was, and files of them."""

from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from clinic_mm.types import Rejected

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
HB = {"coding": [{"system": "http://site/x", "code": "HB1"}, {"system": LOINC, "code": "718-7", "display": "Hb"}]}
PATIENT = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1950-02-03",
           "name": [{"family": "Doe"}], "deceasedDateTime": "2024-01-01", "address": [{"city": "Bern"}]}  # fmt: skip


def observation(**changed: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    given = {"resourceType": "Observation", "id": "o1", "status": "final", "code": HB,
             "subject": {"reference": "Patient/p1"}, "effectiveDateTime": "2023-05-01T10:00:00+02:00",
             "valueQuantity": {"value": 12.5, "unit": "g/dl", "code": "g/dL"}}  # fmt: skip
    return {key: value for key, value in (given | changed).items() if value is not None}


def resource(kind: str, **given: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Any other resource of the patient, with a code."""
    return {"resourceType": kind, "id": kind[:3], "subject": {"reference": "Patient/p1"}, "code": HB, **given}


def bundle(folder: Path, *resources: object, name: str = "b.json", **more: object) -> Path:
    path = folder / name
    entries = [{"resource": one} for one in resources]
    path.write_bytes(orjson.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries, **more}))
    return path


def counts(rejected: list[Rejected]) -> dict[str, int]:
    """How often each reason was met, in all files."""
    found: Counter[str] = Counter()
    for one in rejected:
        count = one.why.split()[0]
        found[one.code] += int(count) if count.isdigit() else 1
    return dict(found)
