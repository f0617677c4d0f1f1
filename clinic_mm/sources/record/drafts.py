"""Know a text that software drafted, so that nothing generated is ever read back as evidence.

In:  a text, a FHIR resource, rows of notes. Out: whether it carries the mark that every draft of ours carries.

Who takes the mark away makes the words their own; nothing here guesses from the words who wrote them.
"""

from typing import Any, Final

import pandas as pd

from clinic_mm.errors import EvidenceError

MARK: Final = "[clinic_mm draft: not evidence]"
"""First and last line of every written draft."""
TAG_SYSTEM: Final = "urn:x-clinic-mm:draft"
"""System of the tag that a draft has in FHIR (`Resource.meta.tag`)."""
CODE: Final = "note.draft"
WHY: Final = "The text is a draft that software wrote, and no evidence"
MEND: Final = "Give what a person wrote; a draft becomes a note when somebody has checked it and taken its mark away"
_SQUEEZED: Final = "".join(MARK.split()).lower()


def is_draft(text: str) -> bool:
    """Whether a text carries the mark, in whatever case and however its lines were wrapped."""
    return _SQUEEZED in "".join(text.split()).lower()


def is_draft_resource(resource: dict[str, Any]) -> bool:
    """Whether a FHIR resource carries the tag."""
    tags = (resource.get("meta") or {}).get("tag") or ()
    return any(tag.get("system") == TAG_SYSTEM for tag in tags)


def refuse_draft(text: str) -> None:
    """Pass what a person wrote.

    Raises:
        EvidenceError: `note.draft`.
    """
    if is_draft(text):
        raise EvidenceError(CODE, WHY, "", MEND)


def without_drafts(notes: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Rows of notes (NOTE_COLUMNS) that people wrote, and how many others there were."""
    drafted = notes["text"].map(is_draft).astype(bool)
    return notes[~drafted], int(drafted.sum())
