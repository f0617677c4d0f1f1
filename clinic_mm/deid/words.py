"""Keep of a short text (a description, an annotation) only the words that are clinical; everything else goes.

In:  a text. Out: its words that stand on the list of schemas/deid_note.toml, and short numbers with a unit.
"""

import re
from functools import cache
from typing import Final

from clinic_mm.bundle import policy

WORD: Final = re.compile(r"[^\W\d_]+(?:'[a-z]+)?|\d+(?:[.,]\d+)?[^\W\d_%]*%?|[^\w\s]", re.UNICODE)
NUMBER: Final = re.compile(r"\d{1,2}(?:[.,]\d{1,2})?(?:mm|cm|m|hz|s|sec|min|ms|uv|µv|%|kv|ma|mg|ml)?")
SIGNS: Final = frozenset("+-/().,:&")


@cache
def clinical_words() -> frozenset[str]:
    """The list, in lower case."""
    listed = policy("deid_note")
    return frozenset(word.lower() for word in listed["clinical_words"])


def clean_words(text: str) -> str:
    """The clinical words of a text, in their order; "" where there is none. Never longer than the text."""
    kept, end = "", 0
    for found in WORD.finditer(text):
        if not _clinical(found[0]):
            continue
        gap = " " if kept and found.start() > end else ""
        kept, end = kept + gap + found[0], found.end()
    return kept.strip(" +-/.,:&") if any(letter.isalpha() for letter in kept) else ""


def _clinical(word: str) -> bool:
    return word in SIGNS or word.lower() in clinical_words() or bool(NUMBER.fullmatch(word.lower()))
