"""Take the notes out of FHIR R4 and R4B resources: plain text, and the text of HTML.

In:  DocumentReference and DiagnosticReport as plain dictionaries.
Out: tuples in the order of NOTE_COLUMNS. Text in other forms (PDF, RTF, a link) is counted and left out; no address is
     ever opened.
"""

import base64
import binascii
import hashlib
from typing import Final

from clinic_mm.sources.fhir.files import MALFORMED, FhirFile
from clinic_mm.sources.fhir.html_text import html_text
from clinic_mm.sources.fhir.policy import Resource
from clinic_mm.sources.fhir.reading import Reading, entered_in_error, has_happened, known_at, owner_of, resource_id
from clinic_mm.sources.fhir.values import code_of
from clinic_mm.sources.record.drafts import CODE, is_draft, is_draft_resource
from clinic_mm.sources.record.rows import NO_TIME, Note

MAX_NOTE_BYTES: Final = 4 << 20
NOTE_TYPES: Final = frozenset({"DocumentReference", "DiagnosticReport"})
PLAIN: Final = frozenset({"text/plain", "text/markdown"})
HTML: Final = frozenset({"text/html", "application/xhtml+xml"})
CHARSETS: Final = frozenset({"utf-8", "latin-1", "iso-8859-1", "us-ascii", "windows-1252"})


def notes_of(resource: Resource, reading: Reading) -> list[Note]:
    """The text in a DocumentReference, or in a DiagnosticReport's presented form."""
    kind = resource["resourceType"]
    if kind not in NOTE_TYPES:
        return []
    try:
        if entered_in_error(resource) or resource.get("docStatus") == "entered-in-error":
            reading.retract(resource, "note")
            return []
        attachments = _attachments(resource)
        if not attachments or not has_happened(resource, reading):
            return []
        text = _text(attachments, reading.file)
        if is_draft_resource(resource) or is_draft(text):
            reading.trouble(CODE)
            return []
        if not text or not (who := owner_of(resource, reading)):
            return []
        code, display = code_of(resource.get("type") or resource.get("code"))
        return [(who, _written(resource, reading), display or code, text, resource_id(resource))]
    except MALFORMED:
        reading.trouble("fhir.bad_resource")
        return []


def _attachments(resource: Resource) -> list[Resource]:
    if resource["resourceType"] == "DiagnosticReport":
        return list(resource.get("presentedForm") or ())
    return [content["attachment"] for content in resource.get("content") or ()]


def _written(resource: Resource, reading: Reading) -> int:
    """When a document was written; undated ones are judged by the cohort."""
    if resource["resourceType"] == "DiagnosticReport":
        at = known_at(resource, reading)
    else:
        period = (resource.get("context") or {}).get("period") or {}
        at = reading.moment(resource.get("date"), period.get("end"), period.get("start"))
    return NO_TIME if at is None else at


def _text(attachments: list[Resource], file: FhirFile) -> str:
    """The text of all attachments; of one document as text and as HTML, the text."""
    plain = [text for one in attachments if _kind(one) in PLAIN and (text := _decoded(one, file))]
    if plain:
        return "\n\n".join(plain)
    html = [text for one in attachments if _kind(one) in HTML and (text := html_text(_decoded(one, file)))]
    if not html and (others := sum(_kind(one) not in PLAIN | HTML for one in attachments)):
        file.troubles["note.not_text"] += others
    return "\n\n".join(html)


def _kind(attachment: Resource) -> str:
    return str(attachment.get("contentType") or "").lower().partition(";")[0].strip()


def _decoded(attachment: Resource, file: FhirFile) -> str:
    """Text of an attachment, "" where it is not inline or not whole; those are counted."""
    data = attachment.get("data")
    if not data:
        file.troubles["note.not_inline"] += 1
        return ""
    if len(data) > MAX_NOTE_BYTES * 4 // 3 + 4:
        file.troubles["note.too_large"] += 1
        return ""
    try:
        content = base64.b64decode("".join(data.split()), validate=True)
        if not _is_whole(content, attachment):
            file.troubles["note.damaged"] += 1
            return ""
        return content.decode(_charset(attachment)).replace("\0", "").strip()
    except (binascii.Error, UnicodeDecodeError):
        file.troubles["note.undecodable"] += 1
        return ""


def _is_whole(content: bytes, attachment: Resource) -> bool:
    """Whether length and SHA-1, where the document states them, are those of its content (R4, Attachment)."""
    size, told = attachment.get("size"), attachment.get("hash")
    if isinstance(size, int) and size != len(content):
        return False
    digest = hashlib.sha1(content, usedforsecurity=False).digest()
    return not isinstance(told, str) or base64.b64decode(told) == digest


def _charset(attachment: Resource) -> str:
    parameters = str(attachment.get("contentType")).lower().replace(" ", "").split(";")[1:]
    named = dict(one.split("=", 1) for one in parameters if "=" in one).get("charset", "utf-8").strip('"')
    return named if named in CHARSETS else "utf-8"
