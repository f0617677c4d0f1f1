"""Turn FHIR R4 and R4B resources into rows: facts of a patient.

In:  resources as plain dictionaries.
Out: tuples in the order of RECORD_COLUMNS.

A fact's time is when it was known: the later of measurement and issue of a result, the recording of a condition.
What is only known later (death, the end of a stay, how a condition resolved) is left out, and so are names and
addresses.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from clinic_mm.sources.fhir.files import MALFORMED
from clinic_mm.sources.fhir.policy import Resource
from clinic_mm.sources.fhir.reading import (
    Reading,
    Said,
    entered_in_error,
    has_happened,
    known_at,
    owner_of,
    resource_id,
)
from clinic_mm.sources.fhir.values import UnitMismatchError, Value, code_of, value_of
from clinic_mm.sources.record.rows import Fact
from clinic_mm.times import parse_iso

SEXES: Final = frozenset({"female", "male", "other", "unknown"})
MEDICATION: Final = "ref:"
"""Marks a code that is still a reference to a Medication resource."""
BCP_47: Final = "urn:ietf:bcp:47"
LANGUAGE: Final = re.compile(r"^(?!(und|mul|mis|zxx)\b)[A-Za-z]{2,3}([-_]|$)", re.IGNORECASE)
"""A language, and neither an undetermined one, nor many, nor none."""
BIRTH: Final = re.compile(r"^\d{4}(-\d\d(-\d\d)?)?(T|$)")
BLANK: Final = Value()


def facts_of(resource: Resource, reading: Reading) -> Sequence[Fact]:
    """The facts of one resource; what cannot be used is counted in the file's troubles."""
    kind = resource["resourceType"]
    if kind not in READERS:
        return ()
    reader, category = READERS[kind]
    try:
        if entered_in_error(resource):
            reading.retract(resource, category)
            return ()
        return reader(resource, reading) if has_happened(resource, reading) else ()
    except UnitMismatchError:
        reading.trouble("fhir.unit_mismatch")
    except MALFORMED:
        reading.trouble("fhir.bad_resource")
    return ()


def medication_of(resource: Resource) -> tuple[str, str]:
    """Code and display of a Medication resource."""
    try:
        return code_of(resource.get("code"))
    except MALFORMED:
        return "", ""


def language_of(communication: object) -> str:
    """The language that a patient is spoken to in: the preferred one, or the only one that is listed.

    Args:
        communication: Patient.communication.

    Returns:
        The language of a BCP 47 tag without its region (`en` of en-US), as ISO 639 has it; "" where several are
        listed and not one is preferred, where the only one is said not to be, or where it is words without a code.
    """
    listed = [one for one in communication if isinstance(one, dict)] if isinstance(communication, list) else []
    preferred = [one for one in listed if one.get("preferred") is True]
    meant = preferred or [one for one in listed[:1] if len(listed) == 1 and one.get("preferred") is None]
    tags = {tag for one in meant for tag in _tags(one.get("language"))}
    return tags.pop() if len(tags) == 1 else ""


def _tags(concept: object) -> Iterator[str]:
    """Languages of the codings that are of BCP 47, which FHIR binds them to; one without a system is taken for it."""
    codings = concept.get("coding") if isinstance(concept, dict) else None
    for coding in codings if isinstance(codings, list) else ():
        if isinstance(coding, dict) and coding.get("system") in {None, BCP_47}:
            code = coding.get("code")
            if isinstance(code, str) and LANGUAGE.match(code):
                yield re.split("[-_]", code)[0].lower()


def _patient(resource: Resource, reading: Reading) -> list[Fact]:
    """Nothing yet: who someone is, is settled when all that is said of them was read."""
    who = resource_id(resource)
    sex, born, died = resource.get("gender"), resource.get("birthDate"), resource.get("deceasedDateTime")
    if not who:
        raise ValueError
    reading.people.setdefault(who, []).append(
        Said(
            sex if isinstance(sex, str) and sex in SEXES else "",
            born[:10] if isinstance(born, str) and BIRTH.match(born) and parse_iso(born[:10]) else "",
            died if isinstance(died, str) and parse_iso(died) else "",
            language_of(resource.get("communication")),
            reading.number,
        )
    )
    for one in resource.get("identifier") or ():
        reading.identifiers.setdefault(f"{one.get('system')}|{one.get('value')}", set()).add(who)
    return []


def _observation(resource: Resource, reading: Reading) -> list[Fact]:
    parts = resource.get("component")
    if not parts:
        code, display = code_of(resource.get("code"))
        value = value_of(resource, code)
        if value is None:
            reading.trouble("fhir.no_value")
            return []
        return _one("observation", resource, reading, code, display, value, known_at(resource, reading))
    rows: list[Fact] = []
    at = known_at(resource, reading)
    for part in (resource, *parts):
        try:
            code, display = code_of(part.get("code"))
            if value := value_of(part, code):
                rows += _one("observation", resource, reading, code, display, value, at)
        except UnitMismatchError:  # the other parts stand
            reading.trouble("fhir.unit_mismatch")
    return rows


def _condition(resource: Resource, reading: Reading) -> list[Fact]:
    verified = {one.get("code") for one in (resource.get("verificationStatus") or {}).get("coding") or ()}
    if "refuted" in verified:
        reading.trouble("fhir.refuted")
        return []
    at = reading.moment(resource.get("recordedDate"), resource.get("onsetDateTime"))
    if at is None:
        at = reading.moment((resource.get("onsetPeriod") or {}).get("start"))
    return _one("condition", resource, reading, *code_of(resource.get("code")), BLANK, at)


def _medication(resource: Resource, reading: Reading) -> list[Fact]:
    if resource.get("doNotPerform") is True:
        reading.trouble("fhir.not_done")
        return []
    code, display = code_of(resource.get("medicationCodeableConcept"))
    if not code and (pointed := resource.get("medicationReference")):
        inside = {f"#{one.get('id')}": one for one in resource.get("contained") or ()}
        if near := inside.get(pointed.get("reference")):
            code, display = code_of(near.get("code"))
        else:
            words = pointed.get("display")
            code, display = MEDICATION + reading.file.target(pointed), words if isinstance(words, str) else ""
    return _one("medication", resource, reading, code, display, BLANK, reading.moment(resource.get("authoredOn")))


def _procedure(resource: Resource, reading: Reading) -> list[Fact]:
    at = reading.moment(resource.get("performedDateTime"))
    if at is None:
        period = resource.get("performedPeriod") or {}
        at = reading.moment(period.get("end"), period.get("start"))
    return _one("procedure", resource, reading, *code_of(resource.get("code")), BLANK, at)


def _encounter(resource: Resource, reading: Reading) -> list[Fact]:
    kinds = resource.get("type")
    sort = _text((resource.get("class") or {}).get("code"))
    at = reading.moment((resource.get("period") or {}).get("start"))
    code, display = code_of(kinds[0]) if kinds else (f"local:{sort}" if sort else "", "")
    return _one("encounter", resource, reading, code, display, Value(text=sort), at)


def _report(resource: Resource, reading: Reading) -> list[Fact]:
    at = known_at(resource, reading)
    found = Value(text=_text(resource.get("conclusion")))
    rows = _one("report", resource, reading, *code_of(resource.get("code")), found, at)
    for one in resource.get("contained") or ():
        if one.get("resourceType") == "Observation":  # it has no patient and no id of its own
            given = {"subject": resource.get("subject"), "effectiveDateTime": resource.get("effectiveDateTime")}
            inside = {"issued": resource.get("issued"), **given, **one}
            inside |= {"subject": given["subject"], "id": f"{resource_id(resource)}#{resource_id(one)}"}
            rows += facts_of(inside, reading)
    return rows


def _imaging(resource: Resource, reading: Reading) -> list[Fact]:
    codings = [*(resource.get("modality") or ()), *(one.get("modality") for one in resource.get("series") or ())]
    found = dict(code_of({"coding": [one]}) for one in codings if one) or {"": ""}
    at = reading.moment(resource.get("started"))
    return [row for code, words in found.items() for row in _one("imaging", resource, reading, code, words, BLANK, at)]


def _allergy(resource: Resource, reading: Reading) -> list[Fact]:
    verified = {one.get("code") for one in (resource.get("verificationStatus") or {}).get("coding") or ()}
    if "refuted" in verified:
        reading.trouble("fhir.refuted")
        return []
    at = reading.moment(resource.get("recordedDate"), resource.get("onsetDateTime"))
    found = Value(text=_text(resource.get("criticality")))
    return _one("allergy", resource, reading, *code_of(resource.get("code")), found, at)


READERS: Final[dict[str, tuple[Callable[[Resource, Reading], list[Fact]], str]]] = {
    "Patient": (_patient, "demographic"),
    "Observation": (_observation, "observation"),
    "Condition": (_condition, "condition"),
    "MedicationRequest": (_medication, "medication"),
    "Procedure": (_procedure, "procedure"),
    "Encounter": (_encounter, "encounter"),
    "DiagnosticReport": (_report, "report"),
    "ImagingStudy": (_imaging, "imaging"),
    "AllergyIntolerance": (_allergy, "allergy"),
}
"""Type of resource to its reader, and the category of its facts."""


def _one(
    category: str, resource: Resource, reading: Reading, code: str, display: str, found: Value, at: int | None
) -> list[Fact]:
    """One fact, if it has a code, a patient and a time; otherwise it is counted."""
    if not (who := owner_of(resource, reading)):
        return []
    if not code or at is None:
        reading.trouble("fhir.undated" if code else "fhir.no_code")
        return []
    number, text, unit, low, high, said = found
    one = resource.get("id")
    return [
        (who, category, code, display, number, text, unit, at, one if one.__class__ is str else "", low, high, said)
    ]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
