"""Take notes apart into sentences and words, and say which words a draft may use.

In:  notes, and whose each is. Out: a lexicon: words that at least k patients' notes have, no number, no name.

A word that fewer patients' notes have is never written, so that a name that the model has seen cannot be repeated (k
patients as in Sweeney 2002, doi 10.1142/S0218488502001648, here for single words). This guards words, not what a
sentence says: notes are de-identified first (`clinic-mm deidentify`).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from clinic_mm.bundle import policy

GAP: Final = "___"
"""Stands where a word was withheld: a blank, to be filled by a person."""
STOPS: Final = frozenset({".", "!", "?"})
SIGNS: Final = frozenset(".,;:!?()%+/-")
LONGEST_ABBREVIATION: Final = 5
TIGHT: Final = frozenset(".,;:?!)%")
"""Signs that no space stands before."""
_TOKEN: Final = re.compile(r"[^\s,;:()!?]*\d[^\s,;:()!?]*|[^\W\d_]+(?:['’-][^\W\d_]+)*|[.,;:!?()%+/-]")
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+|\s*\n+\s*")

Tokens = tuple[str, ...]


def sentences(text: str) -> list[str]:
    """The sentences of a text; a line ends a sentence too, a title or an initial with its stop does not."""
    found: list[str] = []
    for part in _SENTENCE.split(text):
        if found and _goes_on(found[-1]):
            found[-1] += f" {part}"
        elif part.strip():
            found.append(part.strip())
    return found


def _goes_on(sentence: str) -> bool:
    last = sentence.split()[-1]
    bare = last.strip(".(").lower()
    return last.endswith(".") and (bare in _listed().titles or (len(bare) == 1 and bare.isalpha()))


def tokens(sentence: str) -> list[str]:
    """Words and signs as they stand; what holds a digit is one token."""
    found = []
    for token in _TOKEN.findall(sentence):
        bare = token.rstrip(".") if len(token) > 1 else token
        found += [bare, *["."] * (bare != token)] if bare else [token]
    return found


def words(text: str) -> list[str]:
    """Words alone, in lower case: what metrics compare."""
    return [token.lower() for token in tokens(text) if token not in SIGNS]


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The words that a draft may use.

    Attributes:
        k: Patients whose notes must have a word.
        forms: Each word in lower case, and as it is written within a sentence.
    """

    k: int
    forms: dict[str, str]

    def covered(self, sentence: str) -> Tokens:
        """A sentence in lower case, ended by a stop; one gap for each run of withheld words."""
        made: list[str] = []
        for token in tokens(sentence):
            word = token.lower()
            kept = word in self.forms or token in SIGNS
            said = word if kept else GAP
            if not made or said != made[-1] or said not in STOPS | {GAP}:  # one gap for a run, one stop at the end
                made.append(said)
        if made and made[-1] not in STOPS:
            made.append(".")
        return tuple(made) if any(word in self.forms for word in made) else ()

    def written(self, sentence: Sequence[str]) -> str:
        """A sentence as a person would write it."""
        text = ""
        for word in sentence:
            gap = "" if not text or word in TIGHT or text.endswith("(") else " "
            text += gap + self.forms.get(word, word)
        return text[:1].upper() + text[1:]


def fit_lexicon(notes: Sequence[str], patients: Sequence[str], *, k: int) -> Lexicon:
    """Learn which words may be written.

    Args:
        notes: Training notes.
        patients: Whose each is.
        k: Patients whose notes must have a word.
    """
    owners: dict[str, set[str]] = defaultdict(set)
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for note, patient in zip(notes, patients, strict=True):
        for sentence in sentences(note):
            for place, token in enumerate(tokens(sentence)):
                owners[token.lower()].add(patient)
                # The first word of a sentence has a capital whatever it is: that tells nothing.
                seen[token.lower()][token] += place > 0 or token == token.lower() or token.isupper()
    often = sorted(word for word, who in owners.items() if len(who) >= k and word not in SIGNS)
    forms = {word: _form(word, seen[word]) for word in often}
    return Lexicon(k, {word: form or word for word, form in forms.items() if _may_be_written(word, form)})


def _form(word: str, seen: Counter[str]) -> str:
    """As the word is mostly written, "" where it only begins sentences."""
    (form, count), *_ = sorted(seen.items(), key=lambda one: (-one[1], one[0]))
    return form if count else ""


def _may_be_written(word: str, form: str) -> bool:
    """Whether a word is no number and no name, as far as its form and short lists tell."""
    if any(letter.isdigit() for letter in word):
        return word in _listed().terms
    if word in _listed().names:
        return False
    # A capital within a sentence, or only ever at its beginning: a name, a place, a month, unless the word is known.
    # Short words in capitals are abbreviations. German nouns are withheld by this, which is the safe side.
    short = form.isupper() and len(form) <= LONGEST_ABBREVIATION
    return form == word or short or word in _listed().known


@dataclass(frozen=True, slots=True)
class _Lists:
    names: frozenset[str]
    known: frozenset[str]
    terms: frozenset[str]
    titles: frozenset[str]


@cache
def _listed() -> _Lists:
    """Common names, titles and months; clinical and ordinary words; terms with digits; in lower case."""
    notes, findings = policy("deid_note"), policy("findings")
    said = [*findings["denied_by"], *findings["denied_after"]]
    said += [name for table in ("finding", "grade") for some in findings[table].values() for name in some]
    clinical = _lower([*notes["clinical_words"], *(part for one in said for part in one.split())])
    titles = _lower(notes["sure_titles"])
    named = _lower([*notes["first_names"], *notes["surnames"], *notes["months"], *notes["degrees"], *notes["titles"]])
    ordinary = _lower(notes["ordinary"])
    names = named - ordinary - clinical
    return _Lists(
        names, (clinical | ordinary | _lower(notes["not_names"])) - names, _lower(findings["terms_with_digits"]), titles
    )


def _lower(some: Iterable[str]) -> frozenset[str]:
    return frozenset(one.lower() for one in some)
