"""Render a latent into a patient record: eight laboratory values at two times, four of which carry it.

In:  v, a random generator. Out: FHIR R4B Patient and Observation resources, as plain dictionaries.

A carrier's standardised value is ±v plus noise of its own at each time (σ = 0.6), so that the best linear combination
knows v within σ = 0.2 to 0.33; each value may be missing. The other four are noise. Sex and birth date say nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from clinic_mm.simulate.case import Case

LOINC: Final = "http://loinc.org"
UCUM: Final = "http://unitsofmeasure.org"
CELL_NOISE: Final = 0.6
CELL_MISSING: Final = 0.1
TEST_DATA: Final = {
    "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}],
    "tag": [{"system": "urn:clinic-mm:simulated", "code": "SIMULATED"}],
}
"""Says in every resource that it is no patient's."""


@dataclass(frozen=True, slots=True)
class Lab:
    """One laboratory test: value = middle + spread · (sign · v + noise); sign 0 carries nothing."""

    loinc: str
    display: str
    unit: str
    middle: float
    spread: float
    sign: int
    digits: int


LABS: Final = (
    Lab("1988-5", "C reactive protein [Mass/volume] in Serum or Plasma", "mg/L", 60.0, 11.0, 1, 1),
    Lab("6690-2", "Leukocytes [#/volume] in Blood by Automated count", "10*3/uL", 9.5, 1.6, 1, 2),
    Lab("718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", 12.8, 1.2, -1, 2),
    Lab("2951-2", "Sodium [Moles/volume] in Serum or Plasma", "mmol/L", 138.0, 2.6, -1, 1),
    Lab("2823-3", "Potassium [Moles/volume] in Serum or Plasma", "mmol/L", 4.2, 0.35, 0, 2),
    Lab("2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL", 1.1, 0.18, 0, 2),
    Lab("2345-7", "Glucose [Mass/volume] in Serum or Plasma", "mg/dL", 115.0, 18.0, 0, 0),
    Lab("777-3", "Platelets [#/volume] in Blood by Automated count", "10*3/uL", 250.0, 45.0, 0, 0),
)


def fhir_time(at: datetime) -> str:
    """A FHIR instant in UTC."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def patient(case: Case) -> dict[str, Any]:
    """The Patient resource. Source: FHIR R4B, Patient."""
    return {
        "resourceType": "Patient",
        "id": case.patient_id,
        "meta": TEST_DATA,
        "identifier": [{"system": "urn:clinic-mm:simulated", "value": case.patient_id}],
        "name": [{"family": "SIMULATED", "given": ["CASE"]}],
        "gender": case.sex,
        "birthDate": case.birth_date.isoformat(),
    }


def observations(
    case: Case, at: datetime, v: float, rng: np.random.Generator, *, occasion: str = "1"
) -> list[dict[str, Any]]:
    """The laboratory values of one occasion: at `at`, and some hours before.

    Source: FHIR R4B, Observation; LOINC for the tests, UCUM for the units.
    """
    times = (at - timedelta(hours=float(rng.uniform(6, 24))), at)
    cells = rng.standard_normal((len(times), len(LABS)))
    kept = rng.random(cells.shape) >= CELL_MISSING
    rows = []
    for i, when in enumerate(times):
        for j, lab in enumerate(LABS):
            noise = CELL_NOISE * cells[i, j] if lab.sign else cells[i, j]
            value = round(float(lab.middle + lab.spread * (lab.sign * v + noise)), lab.digits)
            if kept[i, j]:
                rows.append(_observation(case, f"o{occasion}-{i}{j}", lab, max(value, 0.1), when))
    return rows


def _observation(case: Case, name: str, lab: Lab, value: float, at: datetime) -> dict[str, Any]:
    category = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}
    return {
        "resourceType": "Observation",
        "id": f"{case.patient_id}-{name}",
        "meta": TEST_DATA,
        "status": "final",
        "category": [{"coding": [category]}],
        "code": {"coding": [{"system": LOINC, "code": lab.loinc, "display": lab.display}], "text": lab.display},
        "subject": {"reference": f"Patient/{case.patient_id}"},
        "effectiveDateTime": fhir_time(at),
        "valueQuantity": {"value": value, "unit": lab.unit, "system": UCUM, "code": lab.unit},
    }
