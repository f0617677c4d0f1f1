"""Find what names a person in a note, and put something readable in its place.

In:  a text, whose it is, and what the run knows of names and places. Out: the text with surrogates.

Names, dates, numbers and places are found by the words and forms around them, by a short list of common names, and by
what other files of the run say. A name that nothing of this points to stays: see docs/deidentify.md for what is found
and what is not. Measures, doses and laboratory values are left alone.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from clinic_mm.deid.keyring import Keyring
from clinic_mm.deid.known import Known
from clinic_mm.deid.note_dates import date_spans
from clinic_mm.deid.note_forms import Forms, forms_of
from clinic_mm.deid.policy import Policy, Row


class Span(NamedTuple):
    """A part of a text, and what it is."""

    start: int
    end: int
    kind: str
    instead: str


ORDER: Final = ("link", "date", "number", "place", "age", "name")
"""Where two spans overlap, the longer wins, and then the earlier of these."""


class Cleaner:
    """Finds and replaces, for the notes of one patient: the same word has the same surrogate in all of them."""

    def __init__(self, policy: Policy, keyring: Keyring, patient_id: str, known: Known) -> None:
        self._lists, self._keyring, self._patient_id, self._known = policy.lists["note"], keyring, patient_id, known
        self._forms: Forms = forms_of()
        self._shift = keyring.shift(patient_id)
        self._first = frozenset(name.lower() for name in self._lists["first_names"])

    def clean(self, text: str) -> str:
        """The text with surrogates."""
        parts, at = [], 0
        for span in self.spans(text):
            parts += [text[at : span.start], span.instead]
            at = span.end
        return "".join([*parts, text[at:]])

    def spans(self, text: str) -> list[Span]:
        """What is replaced, in order, without overlaps."""
        chosen: list[Span] = []
        for span in sorted(self._found(text), key=lambda s: (s.start - s.end, ORDER.index(s.kind), s.start)):
            if all(span.end <= other.start or span.start >= other.end for other in chosen):
                chosen.append(span)
        return sorted(chosen)

    def _found(self, text: str) -> Iterator[Span]:
        yield from (Span(start, end, "date", new) for start, end, new in date_spans(text, self._shift))
        for form, instead in self._forms.links:
            yield from (Span(f.start(1), f.end(1), "link", instead) for f in form.finditer(text))
        for form in self._forms.numbers:
            yield from self._all(form, text, "number", self.number)
        yield from self._all(self._forms.age, text, "age", lambda _: "90")
        for form in self._forms.streets:
            yield from self._all(form, text, "place", self._street)
        for form in self._forms.places:
            yield from self._all(form, text, "place", self._place)
        for form, sure in self._forms.names:
            for found in form.finditer(text):
                yield from self._name_words(text, found.start(1), found.end(1), sure=sure)
        for start, end, kind in self._known.found_in(text, self._patient_id):
            if kind == "name":
                yield Span(start, end, "name", self.name(text[start:end]))
            else:
                new = self.number(text[start:end]) if kind == "number" else self._place(text[start:end])
                yield Span(start, end, kind, new)

    def _all(self, form: re.Pattern[str], text: str, kind: str, change: Callable[[str], str]) -> Iterator[Span]:
        for found in form.finditer(text):
            if not self._plain(found[1]):
                yield Span(found.start(1), found.end(1), kind, change(found[1]))

    def _plain(self, text: str) -> bool:
        """Whether no word of what a form has found says anything by itself: `Pulmonary Clinic`, `High School`."""
        words = [word.strip(".,'’") for word in text.split()]
        if words[0] in self._forms.not_names:
            return True
        plain = self._forms.general | self._forms.clinical
        return all(word in self._forms.not_names or word.lower() in plain for word in words)

    def _name_words(self, text: str, start: int, end: int, *, sure: bool) -> Iterator[Span]:
        """The words of a name that a form has found, one by one, up to the first that is no name.

        Where the form is sure, the first is a name whatever it says: there are people called Dr. Still.
        """
        for number, word in enumerate(self._forms.name_word.finditer(text, start, end)):
            plain = word[0] in self._forms.not_names or word[0].lower() in self._forms.clinical
            if plain and not (sure and number == 0):
                return
            if word[0].lower() not in self._forms.particles:
                yield Span(word.start(), word.end(), "name", self.name(word[0]))

    def name(self, word: str) -> str:
        """Another name, of the same kind and case: the same for the same word of this patient."""
        if len(word.strip(".")) == 1:  # an initial
            return self._keyring.choice(f"initial:{self._patient_id}:{word}", "ABCDEFGHKLMNPRSTW") + word[1:]
        listed = self._lists["first_names" if word.lower() in self._first else "surnames"]
        among = [name for name in listed if name.lower() != word.lower()]
        new: str = self._keyring.choice(f"name:{self._patient_id}:{word.lower()}", among)
        return new.upper() if word.isupper() else new

    def number(self, text: str) -> str:
        """Other digits and letters in the same places."""
        digest = self._keyring.digest(f"number:{self._patient_id}:{text}")
        digest += self._keyring.digest(f"more:{self._patient_id}:{text}")
        return "".join(_other(letter, digest[at % len(digest)]) for at, letter in enumerate(text))

    def _street(self, text: str) -> str:
        street = self._keyring.choice(f"street:{self._patient_id}:{text}", self._lists["surrogate_streets"])
        house = self._keyring.choice(f"house:{self._patient_id}:{text}", range(1, 99))
        return f"{house} {street} Street"

    def _place(self, text: str) -> str:
        place: str = self._keyring.choice(f"place:{self._patient_id}:{text.lower()}", self._lists["surrogate_places"])
        for word in self._forms.institution_words:
            if text.endswith(word):
                return f"{place} {word}"
        return place


def _other(letter: str, byte: int) -> str:
    if letter.isdigit():
        return str(byte % 10)
    if letter.isalpha():
        return chr((65 if letter.isupper() else 97) + byte % 26)
    return letter


def plan(policy: Policy) -> list[Row]:
    """What happens to each kind of thing in a note."""
    del policy
    said = [
        (
            "Names after a title, a lead (Patient:, signed by, gez.), a relative, or before a degree or an age",
            "C",
            "another name, the same all over",
        ),
        ("Common names of schemas/deid_note.toml where another capitalised word stands beside them", "C", "the same"),
        ("Names of patients and staff that FHIR, DICOM or EDF files of the run hold", "C", "the same"),
        (
            "Dates: ISO, 03/04/2020, 3.4.20, 3 April 2020, April 3rd, 3. Mai 2020, 04/2020, in 2020",
            "C",
            "moved by the patient's shift, in the same form",
        ),
        ("Ages above 89", "C", "90"),
        (
            "Phone, fax, social security, record, accession, account and insurance numbers; seven digits or more",
            "C",
            "other digits in the same form",
        ),
        ("E-mail and web addresses, IP numbers", "C", "name@example.org, https://example.org, 192.0.2.1"),
        (
            "Streets, postal codes with a place, places after lives in, from, born in; hospitals, firms, schools",
            "C",
            "an invented place",
        ),
        ("Everything else", "K", "kept; doses, measures, laboratory values and times of day among it"),
        ("Last line", "D", "says that the text was de-identified, with the pseudonym and our seal"),
    ]
    return [Row("note", *one) for one in said]
