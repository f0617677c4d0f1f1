"""Turn FHIR R4 and R4B resources into rows: facts of a patient.

In:  resources as plain dictionaries.
Out: tuples in the order of RECORD_COLUMNS.

A fact's time is when it was known: the later of measurement and issue of a result, the recording of a condition.
What is only known later (death, the end of a stay, how a condition resolved) is left out, and so are names and
addresses.
"""

import math
from collections.abc import Callable
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Any, Final, NamedTuple

from clinic_mm.sources.fhir_files import MALFORMED, FhirFile, Resource, systems
from clinic_mm.sources.rows import Fact
from clinic_mm.times import parse_iso

SEXES: Final = frozenset({"female", "male", "other", "unknown"})
NOT_FACTS: Final = {
    "Observation": {"registered", "cancelled"},
    "Procedure": {"not-done", "preparation"},
    "MedicationRequest": {"draft", "cancelled"},
    "Encounter": {"planned", "cancelled"},
    "DiagnosticReport": {"registered", "cancelled"},
    "ImagingStudy": {"registered", "cancelled"},
}
"""Statuses under which nothing has happened yet, or never did (R4 value sets of each resource's `status`)."""
MEDICATION: Final = "ref:"
"""Marks a code that is still a reference to a Medication resource."""
NAN: Final = math.nan


class Reading(NamedTuple):
    """What the readers of one file share."""

    file: FhirFile
    zone: tzinfo


class Fields(NamedTuple):
    """What differs between the facts of one resource: code, display, value, text, unit."""

    code: str
    display: str
    value: float = NAN
    text: str = ""
    unit: str = ""
    ref_low: float = NAN
    ref_high: float = NAN
    interpretation: str = ""


def facts_of(resource: Resource, reading: Reading) -> list[Fact]:
    """The facts of one resource; what cannot be used is counted in the file's troubles."""
    kind = resource["resourceType"]
    reader = READERS.get(kind)
    if reader is None:
        return []
    try:
        if entered_in_error(resource):
            reading.file.troubles["fhir.entered_in_error"] += 1
            return []
        if resource.get("status") in NOT_FACTS.get(kind, ()):
            return []
        return reader(resource, reading)
    except MALFORMED:
        reading.file.troubles["fhir.bad_resource"] += 1
        return []


def medication_of(resource: Resource) -> tuple[str, str]:
    """Code and display of a Medication resource."""
    try:
        return code_of(resource.get("code"))
    except MALFORMED:
        return "", ""


def code_of(concept: Any) -> tuple[str, str]:  # noqa: ANN401 - JSON as it comes
    """Code and display of a CodeableConcept: the first coding of a known system, else a local one, else its text."""
    if not concept:
        return "", ""
    words = str(concept.get("text") or "")
    codings = [one for one in concept.get("coding") or () if isinstance(one.get("code"), str) and one["code"]]
    for one in codings:
        if name := systems().get(one.get("system")):
            return f"{name}:{one['code']}", str(one.get("display") or words)
    if codings:
        return f"local:{codings[0]['code']}", str(codings[0].get("display") or words)
    return (f"text:{words.casefold()}", words) if words else ("", "")


def _patient(resource: Resource, reading: Reading) -> list[Fact]:
    del reading
    sex, born, who = resource.get("gender"), resource.get("birthDate"), resource_id(resource)
    fields = [Fields("sex", "Sex", text=sex)] if sex in SEXES else []
    if isinstance(born, str) and parse_iso(born):
        fields.append(Fields("birth_date", "Date of birth", text=born))
    return [_fact(who, "demographic", one, None, who) for one in fields] if who else []


def _observation(resource: Resource, reading: Reading) -> list[Fact]:
    at = known_at(resource, reading)
    rows = []
    for part in (resource, *(resource.get("component") or ())):
        found = _value(part)
        if found is not None:
            value, text, unit = found
            fields = Fields(*code_of(part.get("code")), value=value, text=text, unit=unit)
            rows += _rows("observation", resource, reading, [fields], at)
    return rows


def _condition(resource: Resource, reading: Reading) -> list[Fact]:
    verified = {one.get("code") for one in (resource.get("verificationStatus") or {}).get("coding") or ()}
    if "refuted" in verified:
        return []
    onset = resource.get("onsetPeriod") or {}
    at = first_moment(reading, resource.get("recordedDate"), resource.get("onsetDateTime"), onset.get("start"))
    return _rows("condition", resource, reading, [Fields(*code_of(resource.get("code")))], at)


def _medication(resource: Resource, reading: Reading) -> list[Fact]:
    code, display = code_of(resource.get("medicationCodeableConcept"))
    if not code and (pointed := resource.get("medicationReference")):
        inside = {f"#{one.get('id')}": one for one in resource.get("contained") or ()}
        if near := inside.get(pointed.get("reference")):
            code, display = code_of(near.get("code"))
        else:
            code, display = MEDICATION + reading.file.target(pointed), str(pointed.get("display") or "")
    return _rows(
        "medication", resource, reading, [Fields(code, display)], first_moment(reading, resource.get("authoredOn"))
    )


def _procedure(resource: Resource, reading: Reading) -> list[Fact]:
    period = resource.get("performedPeriod") or {}
    at = first_moment(reading, resource.get("performedDateTime"), period.get("end"), period.get("start"))
    return _rows("procedure", resource, reading, [Fields(*code_of(resource.get("code")))], at)


def _encounter(resource: Resource, reading: Reading) -> list[Fact]:
    kinds = [code_of(one) for one in resource.get("type") or ()]
    sort = str((resource.get("class") or {}).get("code") or "")
    at = first_moment(reading, (resource.get("period") or {}).get("start"))
    code, display = kinds[0] if kinds else (f"local:{sort}" if sort else "", "")
    return _rows("encounter", resource, reading, [Fields(code, display, text=sort)], at)


def _report(resource: Resource, reading: Reading) -> list[Fact]:
    fields = Fields(*code_of(resource.get("code")), text=str(resource.get("conclusion") or ""))
    return _rows("report", resource, reading, [fields], known_at(resource, reading))


def _imaging(resource: Resource, reading: Reading) -> list[Fact]:
    codings = [*(resource.get("modality") or ()), *(one.get("modality") for one in resource.get("series") or ())]
    found = dict(code_of({"coding": [one]}) for one in codings if one)
    fields = [Fields(code, display) for code, display in found.items()]
    return _rows("imaging", resource, reading, fields, first_moment(reading, resource.get("started")))


def _allergy(resource: Resource, reading: Reading) -> list[Fact]:
    at = first_moment(reading, resource.get("recordedDate"), resource.get("onsetDateTime"))
    fields = Fields(*code_of(resource.get("code")), text=str(resource.get("criticality") or ""))
    return _rows("allergy", resource, reading, [fields], at)


READERS: Final[dict[str, Callable[[Resource, Reading], list[Fact]]]] = {
    "Patient": _patient,
    "Observation": _observation,
    "Condition": _condition,
    "MedicationRequest": _medication,
    "Procedure": _procedure,
    "Encounter": _encounter,
    "DiagnosticReport": _report,
    "ImagingStudy": _imaging,
    "AllergyIntolerance": _allergy,
}


def _rows(category: str, resource: Resource, reading: Reading, fields: list[Fields], at: datetime | None) -> list[Fact]:
    """Facts with a code, a patient and a time; the others are counted."""
    who = reading.file.patient(resource.get("subject") or resource.get("patient"))
    coded = [one for one in fields if one.code]
    trouble = "fhir.no_patient" if not who else "fhir.no_code" if not coded else "fhir.undated" if at is None else ""
    if trouble:
        reading.file.troubles[trouble] += 1
        return []
    return [_fact(who, category, one, at, resource_id(resource)) for one in coded]


def _fact(who: str, category: str, one: Fields, at: datetime | None, source_id: str) -> Fact:
    head = (who, category, one.code, one.display, one.value, one.text, one.unit, at, source_id)
    return (*head, one.ref_low, one.ref_high, one.interpretation)


def _value(part: Resource) -> tuple[float, str, str] | None:
    """Value, text and unit of an Observation or component; None where it has no value."""
    if quantity := part.get("valueQuantity"):
        return _quantity(quantity)
    if "valueInteger" in part:
        return float(part["valueInteger"]), "", ""
    if concept := part.get("valueCodeableConcept"):
        code, display = code_of(concept)
        return NAN, str(concept.get("text") or display or code), ""
    if "valueBoolean" in part:
        return NAN, "true" if part["valueBoolean"] else "false", ""
    if ratio := part.get("valueRatio"):
        return NAN, f"{ratio['numerator']['value']:g}:{ratio['denominator']['value']:g}", ""
    text = part.get("valueString") or part.get("valueDateTime") or part.get("valueTime")
    return (NAN, str(text), "") if text else None


def _quantity(quantity: Resource) -> tuple[float, str, str] | None:
    unit = str(quantity.get("code") or quantity.get("unit") or "")
    if quantity.get("value") is None:
        return None
    value = float(quantity["value"])
    if sign := quantity.get("comparator"):
        return NAN, f"{sign}{value:g}", unit  # "<0.3" is not 0.3
    return value, "", unit


def known_at(resource: Resource, reading: Reading) -> datetime | None:
    """When a result was known: the later of its measurement (end of a period) and its issue."""
    period = resource.get("effectivePeriod") or {}
    measured = first_moment(
        reading,
        resource.get("effectiveDateTime"),
        resource.get("effectiveInstant"),
        period.get("end"),
        period.get("start"),
    )
    issued = first_moment(reading, resource.get("issued"))
    return max((one for one in (measured, issued) if one), default=None)


def first_moment(reading: Reading, *texts: object) -> datetime | None:
    """The first of several fields that can be read as a time."""
    return next((at for text in texts if isinstance(text, str) and (at := _moment(text, reading.zone))), None)


@lru_cache(maxsize=1 << 14)
def _moment(text: str, zone: tzinfo) -> datetime | None:
    return parse_iso(text, zone)  # the values of one panel share their time


def entered_in_error(resource: Resource) -> bool:
    """Whether the source has taken the resource back."""
    if resource.get("status") == "entered-in-error":
        return True
    verification = (resource.get("verificationStatus") or {}).get("coding") or ()
    return any(one.get("code") == "entered-in-error" for one in verification)


def resource_id(resource: Resource) -> str:
    """The resource's own id, "" where it has none."""
    return str(resource.get("id") or "")
