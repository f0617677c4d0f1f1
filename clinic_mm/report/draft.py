"""A Draft as text, and as a FHIR R4B DocumentReference: marked in both, for people and for software.

In:  a Draft. Out: lines of text whose first and last line is the mark; a JSON-ready dict. No reader of notes takes
either of them as evidence (clinic_mm.sources.record.drafts).
"""

import base64
from datetime import datetime
from typing import Any, Final

from clinic_mm.drafting.draft import Draft
from clinic_mm.errors import InputError
from clinic_mm.report.fhir_parts import AI_ASSERTED, clean, identifier, resource_id
from clinic_mm.report.words import label_of
from clinic_mm.sources.record.drafts import MARK, TAG_SYSTEM

BANNER: Final = "*** DRAFT *** NOT EVIDENCE *** written by software, checked by nobody ***"
HOW: Final = {
    "decoder": "written word by word (decoder)",
    "retrieval": "sentences of the nearest training cases (retrieval)",
    "most_frequent": "the most frequent sentences of training notes, whatever the case (baseline)",
}
TAG: Final = {"system": TAG_SYSTEM, "code": "not-evidence", "display": "Draft by software, not evidence"}


def draft_as_text(draft: Draft) -> str:
    """The draft as a person reads it, with the mark on the first and the last line."""
    rests = ", ".join(label_of(name) for name in draft.rests_on) or "nothing of this case"
    lines = [MARK, BANNER, f"Case {draft.case_key}: {HOW[draft.method]}; rests on {rests}", ""]
    lines += [f"  {clean(one.text)}{_said_by(one.support)}" for one in draft.sentences] or ["  (nothing to say)"]
    if draft.support:
        near = ", ".join(f"{one.case_key} ({one.similarity:.2f})" for one in draft.support)
        lines += ["", f"Nearest training cases (similarity): {near}"]
    lines += ["", *(clean(notice) for notice in draft.notices), f"Drafter {draft.model_hash[:16]}", MARK]
    return "\n".join(lines) + "\n"


def _said_by(support: tuple[str, ...]) -> str:
    return f"   <- {len(support)} of the nearest cases: {', '.join(support)}" if support else ""


def draft_as_fhir(draft: Draft, *, created: datetime) -> dict[str, Any]:
    """A DocumentReference, `docStatus` preliminary, tagged as a draft and as asserted by software.

    Args:
        draft: What was written.
        created: When, with a zone.

    Raises:
        InputError: If `created` has no zone.

    Source: HL7 FHIR R4B (4.3.0), DocumentReference; v3-ObservationValue AIAST.
    """
    if created.tzinfo is None:
        raise InputError("The time of a draft has no zone", "created", "Give an aware datetime")
    content = base64.b64encode(draft_as_text(draft).encode()).decode()
    return {
        "resourceType": "DocumentReference",
        "id": resource_id(draft.content_hash, "DocumentReference"),
        "meta": {"security": [AI_ASSERTED], "tag": [TAG]},
        "identifier": [identifier("draft-sha256", draft.content_hash)],
        "status": "current",
        "docStatus": "preliminary",
        "type": {"text": "Draft of findings by software, not evidence"},
        "subject": {"identifier": identifier("case-key", draft.case_key)},
        "date": created.isoformat(),
        "description": BANNER,
        "content": [{"attachment": {"contentType": "text/plain; charset=utf-8", "data": content}}],
    }
