"""Small FHIR data types as dicts: identifiers, references, codings, narrative.

In:  plain strings, some of them from files that nobody has checked. Out: dicts and strings that are safe in FHIR.

Nothing here knows a Prediction.
"""

import html
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid5

from clinic_mm.report.words import SIMULATED

NAMESPACE: Final = UUID("6c1d3c0e-52a5-5d0c-9a35-0f5a2b6f1b1e")
AI_ASSERTED: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "AIAST",
    "display": "Artificial Intelligence asserted",
}
CLINICIAN_ASSERTED: Final = {
    "system": "http://hl7.org/fhir/uv/aitransparency/CodeSystem/AddedProvenanceCS",
    "code": "CLINAST_AIRPT",
    "display": "Clinician Asserted from AI Reported",
}
TEST_DATA: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
    "code": "HTEST",
    "display": "test health data",
}
ABSENT_REASON: Final = "http://terminology.hl7.org/CodeSystem/data-absent-reason"


def clean(text: str) -> str:
    """A FHIR string: control characters become spaces, and an empty one becomes a dash (FHIR has no empty strings)."""
    kept = text if text.isprintable() else "".join(sign if sign.isprintable() else " " for sign in text)
    return kept.strip() or "-"


def narrative(lines: list[str]) -> dict[str, Any]:
    """Generated XHTML, one paragraph a line, everything escaped."""
    body = "".join(f"<p>{html.escape(clean(line))}</p>" for line in lines)
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{body}</div>'}


def identifier(kind: str, value: str) -> dict[str, str]:
    """An identifier in this software's own systems."""
    return {"system": f"urn:x-clinic-mm:{kind}", "value": value}


def coded(system: str, code: str, display: str) -> dict[str, Any]:
    """A CodeableConcept of one coding."""
    return {"coding": [{"system": system, "code": code, "display": display}]}


def resource_id(content: str, role: str) -> str:
    """A UUID that depends on the content and the part it plays, and on nothing else."""
    return str(uuid5(NAMESPACE, f"{content}/{role}"))


def reference(found: str) -> dict[str, str]:
    """A reference to a resource of the same bundle."""
    return {"reference": f"urn:uuid:{found}"}


def instant(when: datetime) -> str:
    """A moment in UTC, as FHIR has it."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds")


def resource_head(
    kind: str, found: str, lines: list[str], security: list[dict[str, str]], *, simulated: bool
) -> dict[str, Any]:
    """What every resource begins with: kind, id, who asserted it, the text for people.

    Args:
        kind: Of resource.
        found: Its id.
        lines: Of the text; what is simulated says so first.
        security: Labels of who asserted it.
        simulated: Adds the label HTEST.
    """
    labels = [*security, *([TEST_DATA] if simulated else [])]
    said = [SIMULATED, *lines] if simulated and SIMULATED not in lines[0] else lines
    meta = {"meta": {"security": labels}} if labels else {}
    return {"resourceType": kind, "id": found, **meta, "text": narrative(said)}
