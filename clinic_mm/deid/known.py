"""Names, places and numbers that the files of a run say outright, so that notes can be searched for them.

In:  FHIR Patients, Practitioners, Organizations and Locations; patient names of DICOM and EDF files.
Out: words and phrases, by what they are. Kept in memory for the run, and never written.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from clinic_mm.deid.words import clinical_words
from clinic_mm.errors import EvidenceError
from clinic_mm.sources.fhir.files import IDENTIFIED, FhirFile, read_resources
from clinic_mm.sources.fhir.policy import Resource

PEOPLE: Final = frozenset({"Patient", "Practitioner", "RelatedPerson", "Person"})
PLACES: Final = frozenset({"Organization", "Location"})
WORD: Final = re.compile(r"[^\W_][\w'’-]*")
SHORTEST: Final = 3


class Known:
    """What is known to name somebody or a place."""

    def __init__(self, ordinary: Iterable[str]) -> None:
        self._ordinary = frozenset(ordinary)
        self.names: dict[str, str] = {}
        self.identified: dict[str, str] = {}
        self.own: dict[str, set[str]] = {}
        self.phrases: dict[str, set[tuple[str, str]]] = {}

    def add_files(self, paths: Iterable[Path]) -> None:
        """Learn from FHIR files; one that cannot be read says nothing, and is refused later."""
        for path in paths:
            try:
                for resource in read_resources(path, FhirFile(), PEOPLE | PLACES):
                    self.add(resource)
            except EvidenceError:
                continue

    def add(self, resource: Resource) -> None:
        """Learn from one resource."""
        kind = resource["resourceType"]
        if kind in PEOPLE:
            patient_id = resource.get("id") if kind == "Patient" else None
            names = _listed(resource, "name")
            parts = [one for name in names for one in (*_strings(name, "given"), name.get("family"))]
            self.add_name(" ".join(str(one) for one in parts if _text(one)), str(patient_id or ""))
            for one in _listed(resource, "identifier") if patient_id else ():
                self.identified[f"{IDENTIFIED}{one.get('system')}|{one.get('value')}"] = str(patient_id)
            for one in (*_listed(resource, "identifier"), *_listed(resource, "telecom")):
                self.add_phrase(one.get("value"), "number")
        if kind in PLACES:
            self.add_phrase(resource.get("name"), "place")
        if kind in PEOPLE | PLACES:
            for address in _addresses(resource):
                for place in (*_strings(address, "line"), address.get("city")):
                    self.add_phrase(place, "place")

    def patient(self, stated: str) -> str:
        """A patient id: as stated, or whose the stated identifier is; "" where nobody of the run has it."""
        return self.identified.get(stated, "") if stated.startswith(IDENTIFIED) else stated

    def add_name(self, name: str, patient_id: str = "") -> None:
        """Learn the words of a name; those of a patient are looked for in his or her own notes even if ordinary."""
        for word in WORD.findall(name.replace("^", " ").replace("_", " ")):
            if len(word) < SHORTEST:
                continue
            if patient_id:
                self.own.setdefault(patient_id, set()).add(word.lower())
            if word.lower() not in self._ordinary | clinical_words():
                self.names[word.lower()] = word

    def add_phrase(self, phrase: object, kind: str) -> None:
        """Learn a phrase that is a place or a number."""
        if not _text(phrase) or len(str(phrase)) < 4:
            return
        words = WORD.findall(str(phrase))
        if words and (len(words) > 1 or words[0].lower() not in self._ordinary):
            self.phrases.setdefault(words[0].lower(), set()).add((str(phrase).strip(), kind))

    def found_in(self, text: str, patient_id: str) -> Iterator[tuple[int, int, str]]:
        """Start, end and kind (`name`, `place`, `number`) of everything known in a text."""
        own = self.own.get(patient_id, set())
        for word in WORD.finditer(text):
            low = word[0].lower()
            for phrase, kind in self.phrases.get(low, ()):
                if text[word.start() : word.start() + len(phrase)].lower() == phrase.lower():
                    yield word.start(), word.start() + len(phrase), kind
            # Names are written with a capital; "rose" and "will" are words.
            bare = low.removesuffix("'s").removesuffix("’s")
            if word[0][0].isupper() and (bare in own or bare in self.names):
                yield word.start(), word.start() + len(bare), "name"


def _addresses(resource: Resource) -> list[dict[str, Any]]:
    one = resource.get("address")
    places = [one] if isinstance(one, dict) else _listed(resource, "address")
    for extension in _listed(resource, "extension"):
        if isinstance(extension.get("valueAddress"), dict):
            places.append(extension["valueAddress"])
    return places


def _listed(resource: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = resource.get(name)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _strings(given: dict[str, Any], name: str) -> list[str]:
    value = given.get(name)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
