"""A model card as FHIR R4B DocumentReference: the card as HTML and Markdown inside, each with its size and hash.

In:  a card, both spellings of it, the time of writing. Out: a JSON-ready dict, valid by `fhir.resources`. The same
arguments give the same bytes.

Source: HL7 FHIR R4B (4.3.0) DocumentReference; Attachment.hash is SHA-1 by the standard, so the SHA-256 that we trust
stands as an identifier.
"""

import base64
import hashlib
from datetime import UTC, datetime
from typing import Any

from clinic_mm.errors import InputError
from clinic_mm.predict.modelcard.content import Card
from clinic_mm.report.fhir_parts import TEST_DATA, clean, identifier, narrative, resource_id
from clinic_mm.report.fhir_valid import check_resource

Resource = dict[str, Any]


def as_document(card: Card, html: str, markdown: str, *, created: datetime) -> Resource:
    """The resource.

    Args:
        card: What it is of.
        html: The card as HTML.
        markdown: The card as Markdown.
        created: When it is written, with a zone.

    Raises:
        InputError: If `created` has no zone.
        ClinicError: If the resource is not valid, which is our fault.
    """
    if created.tzinfo is None:
        raise InputError("The time of a card has no zone", "created", "Give an aware datetime")
    moment = created.astimezone(UTC).isoformat(timespec="milliseconds")
    sha256 = hashlib.sha256(html.encode()).hexdigest()
    resource: Resource = {
        "resourceType": "DocumentReference",
        "id": resource_id(sha256, "ModelCard"),
        **({"meta": {"security": [TEST_DATA]}} if card.simulated else {}),
        "text": narrative([card.title, *card.marks, f"Model {card.model_hash}."]),
        "masterIdentifier": identifier("model-card-sha256", sha256),
        "identifier": [identifier("model-sha256", clean(card.model_hash))],
        "status": "current",
        "docStatus": "preliminary",
        "type": {"text": "Model card"},
        "category": [{"text": "Documentation of decision support software"}],
        "subject": {"identifier": identifier("model-sha256", clean(card.model_hash)), "type": "Device"},
        "date": moment,
        "description": clean(card.title),
        "content": [
            _content(html, "text/html; charset=utf-8", card.title, moment),
            _content(markdown, "text/markdown; charset=utf-8", card.title, moment),
        ],
    }
    check_resource(resource)
    return resource


def _content(text: str, kind: str, title: str, moment: str) -> Resource:
    data = text.encode()
    sha1 = hashlib.sha1(data, usedforsecurity=False).digest()
    return {
        "attachment": {
            "contentType": kind,
            "language": "en",
            "data": base64.b64encode(data).decode("ascii"),
            "size": len(data),
            "hash": base64.b64encode(sha1).decode("ascii"),
            "title": clean(title),
            "creation": moment,
        }
    }
