"""Give the annotations of an EEG codes, and carry on only words that cannot name a person.

In:  (onset_s, duration_s, text) as a file has them.
Out: the same with masked texts, and (onset_s, duration_s, code) of those that the table knows.

Technicians type names, wards and birthdays into annotations. What is not in the list of words is masked, never judged.
The table is data: `schemas/eeg_annotations.toml`.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeAlias

from clinic_mm import bundle
from clinic_mm.sources.eeg.channels import electrode_name

Annotation: TypeAlias = tuple[float, float, str]
LONGEST_TEXT: Final = 400
MOST: Final = 100_000
"""Annotations kept of one recording; one in a second over a day is as many."""
NUMBERS: Final = re.compile(r"\d+(?:[\s./:,_-]+\d+){2,}|\d{4,}")
"""Dates, telephone and record numbers, years."""
WORD: Final = re.compile(r"[^\W_]+(?:['+-][^\W_]+)*")
MARK: Final = re.compile(r"[A-Za-z]?\d{1,3}(?:hz|uv|mm|ms|s)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AnnotationTable:
    """The policy table, ready for use."""

    codes: tuple[tuple[str, re.Pattern[str]], ...]
    words: frozenset[str]
    mask: str


@cache
def annotation_table() -> AnnotationTable:
    """Read `schemas/eeg_annotations.toml` once."""
    given = bundle.policy("eeg_annotations")
    codes = tuple((code, re.compile("|".join(forms), re.IGNORECASE)) for code, forms in given["codes"].items())
    return AnnotationTable(codes, frozenset(given["words"]["kept"].split()), given["words"]["mask"])


def annotation_code(text: str) -> str:
    """The code of an annotation's text, "" where the table knows none."""
    said = " ".join(text.split())
    return next((code for code, form in annotation_table().codes if form.search(said)), "")


def safe_text(text: str) -> str:
    """The text with every word masked that is neither in the table, nor an electrode, nor a small number."""
    mask = annotation_table().mask
    printable = "".join(sign if sign.isprintable() else " " for sign in text[:LONGEST_TEXT])
    said = WORD.sub(_kept, NUMBERS.sub(mask, " ".join(printable.split())))
    return re.sub(rf"{mask}(?:[\s{mask},.;:'/_-]*{mask})+", mask, said)


def told(annotations: Iterable[Annotation]) -> tuple[tuple[Annotation, ...], tuple[Annotation, ...]]:
    """Annotations with masked texts, and the coded events among them; in time order, at most MOST."""
    usable = [one for one in annotations if math.isfinite(one[0]) and math.isfinite(one[1])]
    ordered = sorted(usable, key=lambda one: one[0])[:MOST]
    kept = tuple((onset, length, safe_text(text)) for onset, length, text in ordered)
    coded = ((onset, length, annotation_code(text)) for onset, length, text in ordered)
    return kept, tuple(one for one in coded if one[2])


def _kept(found: re.Match[str]) -> str:
    word, table = found[0], annotation_table()
    if word.lower() in table.words or MARK.fullmatch(word):
        return word
    parts = re.split(r"[+-]", word)
    if all(part and (part.lower() in table.words or MARK.fullmatch(part) or electrode_name(part)) for part in parts):
        return word
    return table.mask
