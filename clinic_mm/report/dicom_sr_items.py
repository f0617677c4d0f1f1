"""Content items of a DICOM SR from plain strings and numbers, some of them from files that nobody has checked.

In:  texts, numbers, names of concepts (schemas/dicom_sr.toml).
Out: highdicom items that fit their value representation.

Nothing here knows a Prediction.
"""

import hashlib
import re
from functools import cache
from typing import Any, Final
from uuid import UUID

from highdicom.sr import (
    CodeContentItem,
    CodedConcept,
    ContainerContentItem,
    ContentSequence,
    RelationshipTypeValues,
    TextContentItem,
)
from pydicom.dataset import Dataset

from clinic_mm.bundle import policy
from clinic_mm.report.fhir_parts import clean

MEANING_BYTES: Final = 64
"""Most of a Code Meaning, LO, PS3.5 6.2."""
CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,16}")
"""Code values that are kept as they are: SH has 16 signs."""
CONTAINS: Final = RelationshipTypeValues.CONTAINS
MODIFIER: Final = RelationshipTypeValues.HAS_CONCEPT_MOD


@cache
def concept(name: str) -> CodedConcept:
    """A concept of the table."""
    value, scheme, meaning = policy("dicom_sr")["concepts"][name]
    return CodedConcept(value, scheme, meaning)


def own(text: str) -> CodedConcept:
    """A concept of this software's own scheme for a name from a task: a class, a modality, a target.

    The meaning is cut after 64 bytes, and a backslash, which parts values in DICOM, becomes a slash; the whole name
    stands in a text item of the report.
    """
    told = clean(text)
    value = text if CODE.fullmatch(text) else f"H{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:15]}"
    return CodedConcept(value, policy("dicom_sr")["own_scheme"], short(told))


def short(text: str) -> str:
    """Without a backslash and cut after 64 bytes: LO holds 64 signs, and some readers count bytes."""
    return clean(clean(text).replace("\\", "/").encode()[:MEANING_BYTES].decode(errors="ignore"))


def text_item(name: str, text: str) -> TextContentItem:
    """A line of text under a concept of the table."""
    return TextContentItem(name=concept(name), value=clean(text), relationship_type=CONTAINS)


def code_item(name: str, value: CodedConcept) -> CodeContentItem:
    """A coded value under a concept of the table."""
    return CodeContentItem(name=concept(name), value=value, relationship_type=CONTAINS)


def modified_by(item: Dataset, name: str, value: CodedConcept) -> None:
    """Say of what a number is: TID 300 row 2."""
    modifier = CodeContentItem(name=concept(name), value=value, relationship_type=MODIFIER)
    item.ContentSequence = ContentSequence([modifier, *item.get("ContentSequence", [])])


def container(name: str, items: list[Any]) -> ContainerContentItem:
    """A container of items."""
    found = ContainerContentItem(name=concept(name), relationship_type=CONTAINS)
    found.ContentSequence = ContentSequence(items)
    return found


def person_name(signer: str) -> str:
    """A person name of one component: ids have no signs of their own in it."""
    return f"{short(signer.replace('^', ' ').replace('=', ' '))}^"


def as_uid(found: str) -> str:
    """PS3.5 B.2: a UUID as a UID."""
    return f"2.25.{UUID(found).int}"
