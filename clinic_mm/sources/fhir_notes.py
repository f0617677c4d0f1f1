"""Take the plain-text notes out of FHIR R4 and R4B resources.

In:  DocumentReference and DiagnosticReport as plain dictionaries.
Out: tuples in the order of NOTE_COLUMNS. Text in other forms (PDF, HTML, a link) is counted and left out.
"""

import base64
import binascii
from typing import Final

from clinic_mm.sources.fhir import Reading, code_of, entered_in_error, first_moment, known_at, resource_id
from clinic_mm.sources.fhir_files import MALFORMED, FhirFile, Resource
from clinic_mm.sources.rows import Note

MAX_NOTE_BYTES: Final = 4 << 20


def notes_of(resource: Resource, reading: Reading) -> list[Note]:
    """The plain text in a DocumentReference, or in a DiagnosticReport's presented form."""
    kind = resource["resourceType"]
    if kind not in {"DocumentReference", "DiagnosticReport"}:
        return []
    try:
        if entered_in_error(resource) or resource.get("docStatus") == "entered-in-error":
            reading.file.troubles["fhir.entered_in_error"] += 1
            return []
        if kind == "DocumentReference":
            attachments = [content["attachment"] for content in resource.get("content") or ()]
            period = (resource.get("context") or {}).get("period") or {}
            at = first_moment(reading, resource.get("date"), period.get("end"), period.get("start"))
        else:
            attachments, at = list(resource.get("presentedForm") or ()), known_at(resource, reading)
        texts = [text for one in attachments if (text := _plain(one, reading.file))]
        patient = reading.file.patient(resource.get("subject"))
        if texts and not patient:
            reading.file.troubles["fhir.no_patient"] += 1
        if not texts or not patient:
            return []
        code, display = code_of(resource.get("type") or resource.get("code"))
        return [(patient, at, display or code, "\n\n".join(texts), resource_id(resource))]
    except MALFORMED:
        reading.file.troubles["fhir.bad_resource"] += 1
        return []


def _plain(attachment: Resource, file: FhirFile) -> str:
    """Text of an attachment, "" where it is not plain text or not inline; those are counted."""
    kind, *parameters = str(attachment.get("contentType") or "").lower().replace(" ", "").split(";")
    trouble = "note.not_text" if kind != "text/plain" else "" if attachment.get("data") else "note.not_inline"
    if not trouble and len(attachment["data"]) > MAX_NOTE_BYTES * 4 // 3:
        trouble = "note.too_large"
    if trouble:
        file.troubles[trouble] += 1
        return ""
    named = dict(one.split("=", 1) for one in parameters if "=" in one).get("charset", "utf-8")
    try:
        content = base64.b64decode("".join(attachment["data"].split()), validate=True)
        return content.decode(named if named in {"utf-8", "latin-1", "iso-8859-1", "us-ascii"} else "utf-8").strip()
    except (binascii.Error, UnicodeDecodeError):
        file.troubles["note.undecodable"] += 1
        return ""
