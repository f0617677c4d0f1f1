"""De-identify FHIR R4 and R4B: new resources that hold only the listed paths, each in the form that it should have.

In:  a bundle, a resource or bulk NDJSON, plain or gzipped. Out: the same kind of file; or `EvidenceError`.

Nothing is copied and then cleaned: a new resource starts empty. A Patient's id becomes the pseudonym that DICOM and EDF
files of the same id have, and all its dates move by the same shift. Each resource carries our seal in its `meta.tag`.
"""

import base64
import binascii
import gzip
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from clinic_mm.deid import dates
from clinic_mm.deid.dicom import other_policy
from clinic_mm.deid.fhir_codes import Codes
from clinic_mm.deid.keyring import Keyring, open_mark, seal, seal_policy
from clinic_mm.deid.known import Known
from clinic_mm.deid.made import Made
from clinic_mm.deid.note import Cleaner
from clinic_mm.deid.policy import Policy, Row
from clinic_mm.deid.words import clean_words
from clinic_mm.errors import EvidenceError
from clinic_mm.sources.fhir.files import FhirFile, read_resources
from clinic_mm.sources.fhir.policy import Resource

BASE: Final = "https://deidentified.invalid/"
"""In front of the ids of a bundle; `.invalid` names no host (RFC 2606), and relative references resolve against it."""
SECURITY: Final = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "PSEUDED"}
TAG_SYSTEM: Final = "urn:clinic-mm:deidentified"
OWNERS: Final = ("subject", "patient")
OF_NOBODY: Final = frozenset({"Medication"})
"""Resources that belong to no patient; no path of theirs is a date."""
TEXT: Final = "text/plain"
DEEPEST: Final = 12


def deidentify_fhir(path: Path, policy: Policy, keyring: Keyring, known: Known) -> Made:
    """The resources of one file without who they are of.

    Raises:
        EvidenceError: `deid.nothing_left` where no resource may be kept, `deid.other_policy`, and those of the reader.
    """
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
    lines = any(suffix.lower() in {".ndjson", ".jsonl"} for suffix in path.suffixes[-2:])
    file, maker = FhirFile(), _Maker(policy, keyring, known)
    resources = read_resources(path, file, frozenset(policy.lists["fhir"]["resources"]))
    if not lines:  # in a bundle, a reference may stand before what it points to
        resources = iter(list(resources))
    made = [one for resource in resources if (one := maker.resource(resource, file)) is not None]
    if not made:
        mend = "Nothing of it is on the list of schemas/deid_fhir.toml"
        raise EvidenceError("deid.nothing_left", "The file holds no resource that may be kept", "", mend)
    content = b"".join(one + b"\n" for one in made) if lines else _bundle(made)
    suffix = (".ndjson" if lines else ".json") + (".gz" if packed else "")
    if packed:
        content = gzip.compress(content, 6, mtime=0)
    counts = Counter({f"fhir.{what}": n for what, n in maker.counts.items()}) + file.troubles
    return Made(content, suffix, frozenset(maker.owners - {""}), (), dict(counts), sealed=maker.sealed == len(made))


def _bundle(made: list[bytes]) -> bytes:
    """One resource alone, several as a collection; each stands in it byte for byte, since it is sealed."""
    if len(made) == 1:
        return made[0] + b"\n"
    entries = []
    for one in made:
        resource = orjson.loads(one)
        url = f"{BASE}{resource['resourceType']}/{resource['id']}"
        entries.append(b'{"fullUrl":' + orjson.dumps(url) + b',"resource":' + one + b"}")
    return b'{"resourceType":"Bundle","type":"collection","entry":[\n' + b",\n".join(entries) + b"\n]}\n"


class _Maker:
    """Builds new resources from old ones."""

    def __init__(self, policy: Policy, keyring: Keyring, known: Known) -> None:
        self._policy, self._keyring, self._known = policy, keyring, known
        self._lists = policy.lists["fhir"]
        self._words = frozenset(self._lists["words"])
        self._codes = Codes(self._lists)
        self._today = datetime.now(UTC).date()
        self.counts: Counter[str] = Counter()
        self.owners: set[str] = set()
        self.sealed = 0

    def resource(self, resource: Resource, file: FhirFile) -> bytes | None:
        """A new resource as sealed JSON; None where nothing of it may be kept."""
        if (ours := self._ours(resource)) is not None:
            return ours
        kind = resource["resourceType"]
        paths = self._lists["resources"].get(kind)
        if paths is None:
            return None
        patient_id = self._known.patient(_owner(resource, file))
        if not isinstance(resource.get("id"), str) or (not patient_id and kind not in OF_NOBODY):
            self.counts["nobody"] += 1
            return None
        one = _One(self, file, patient_id, _last_day(resource, self._today))
        kept = one.object_(resource, paths, 0)
        kept["id"] = self._keyring.resource_id(kind, resource["id"])
        if kind == "DocumentReference" and not kept.get("content"):
            self.counts["no_text"] += 1
            return None
        self.owners.add(self._keyring.patient(patient_id) if patient_id else "")
        mark = {"security": [SECURITY], "tag": [{"system": TAG_SYSTEM, "code": open_mark(self._policy.fingerprint)}]}
        return seal(orjson.dumps({"resourceType": kind, "meta": mark, **kept}), self._keyring)

    def _ours(self, resource: Resource) -> bytes | None:
        """A resource that we wrote under this key, as it is."""
        tags = (resource.get("meta") or {}).get("tag") if isinstance(resource.get("meta") or {}, dict) else None
        if not isinstance(tags, list) or not any(isinstance(t, dict) and t.get("system") == TAG_SYSTEM for t in tags):
            return None
        content = orjson.dumps(resource)
        under = seal_policy(content, self._keyring)
        if under and under != self._policy.fingerprint:
            raise other_policy()
        if not under:
            return None
        self.sealed += 1
        self.owners.add(_owner(resource, FhirFile()))
        return content


class _One:
    """Builds one resource: whose it is decides shift and surrogates."""

    def __init__(self, maker: _Maker, file: FhirFile, patient_id: str, last: date) -> None:
        self._maker, self._file, self._patient_id, self._last = maker, file, patient_id, last
        self._shift = maker._keyring.shift(patient_id)
        self._counts = maker.counts

    def object_(self, given: dict[str, Any], paths: dict[str, str], depth: int) -> dict[str, Any]:
        """What of an object is listed."""
        kept: dict[str, Any] = {}
        for name, value in given.items():
            what = paths.get(name)
            new = self._value(value, what, depth) if what else None
            if new is None:
                self._counts["removed"] += name not in {"resourceType", "id", "meta"}
            else:
                kept[name] = new
        return kept

    def _value(self, value: object, what: str, depth: int) -> Any:  # noqa: ANN401 - JSON
        if depth > DEEPEST:
            return None
        if isinstance(value, list):
            kept = [new for one in value if (new := self._single(one, what, depth)) is not None]
            return kept or None
        return self._single(value, what, depth)

    def _single(self, value: object, what: str, depth: int) -> Any:  # noqa: ANN401 - JSON
        if isinstance(value, bool):
            return value if what == "boolean" else None
        if isinstance(value, int | float):
            return value if what == "number" else None
        if isinstance(value, str):
            return self._text(value, what)
        if isinstance(value, dict):
            return self._complex(value, what, depth + 1) or None
        return None

    def _text(self, text: str, what: str) -> str | None:
        maker = self._maker
        match what:
            case "code":
                return text if text in maker._words else None
            case "date":
                return dates.fhir_date(text, self._shift)
            case "birth":
                return dates.birth_year(text, self._shift, self._last)
            case "uid":
                bare = text.removeprefix("urn:oid:")
                return ("urn:oid:" if bare != text else "") + maker._keyring.uid(bare)
            case "unit":
                return text if maker._codes.unit(text) else None
            case "system":
                return text if text in maker._lists["systems"] else None
            case "id":
                return text  # replaced by `resource`
            case "prose":
                return self._prose(text)
            case _:
                return None

    def _complex(self, value: dict[str, Any], what: str, depth: int) -> dict[str, Any] | None:
        if what == "reference":
            return self._reference(value)
        if what == "Coding":
            return self._coding(value)
        if what == "attachment":
            return self._attachment(value)
        paths = self._maker._lists["types"].get(what)
        return self.object_(value, paths, depth) if paths else None

    def _reference(self, value: dict[str, Any]) -> dict[str, Any] | None:
        patient_id = self._maker._known.patient(self._file.patient(value))
        kind, _, one = f"Patient/{patient_id}".partition("/") if patient_id else self._file.target(value).partition("/")
        if kind not in self._maker._lists["resources"]:
            return None
        return {"reference": f"{kind}/{self._maker._keyring.resource_id(kind, one)}"}

    def _coding(self, value: dict[str, Any]) -> dict[str, Any] | None:
        system, code = value.get("system"), value.get("code")
        if not (isinstance(system, str) and isinstance(code, str) and self._maker._codes.known(system, code)):
            return None
        kept = {"system": system, "code": code}
        display = value.get("display")
        if isinstance(display, str) and "displays" in self._maker._policy.options:
            kept["display"] = self._cleaner().clean(display)
        return kept

    def _attachment(self, value: dict[str, Any]) -> dict[str, Any] | None:
        text = plain_text(value)
        if text is None:
            return None
        cleaned = self._cleaner().clean(text)
        return {"contentType": f"{TEXT}; charset=utf-8", "data": base64.b64encode(cleaned.encode()).decode()}

    def _prose(self, text: str) -> str | None:
        if "free-text" in self._maker._policy.options:
            return self._cleaner().clean(text) or None
        return clean_words(text) or None

    def _cleaner(self) -> Cleaner:
        return Cleaner(self._maker._policy, self._maker._keyring, self._patient_id, self._maker._known)


def plain_text(attachment: dict[str, Any]) -> str | None:
    """The text of an attachment; None where it is not plain text, not inline, or cannot be decoded."""
    kind, data = attachment.get("contentType"), attachment.get("data")
    if not isinstance(kind, str) or not isinstance(data, str) or kind.split(";")[0].strip().lower() != TEXT:
        return None
    try:
        content = base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _owner(resource: Resource, file: FhirFile) -> str:
    if resource["resourceType"] == "Patient":
        return resource["id"] if isinstance(resource.get("id"), str) else ""
    return next((one for name in OWNERS if (one := file.patient(resource.get(name)))), "")


def _last_day(resource: Resource, today: date) -> date:
    """The day that an age is counted on: of death, or today."""
    return dates.day_of(resource.get("deceasedDateTime")) or today


def plan(policy: Policy) -> list[Row]:
    """What happens to each path of a resource."""
    lists = policy.lists["fhir"]
    told = {
        "code": ("K", "kept where it is a word of the list"),
        "number": ("K", "kept where it is a number"),
        "boolean": ("K", "kept where it is true or false"),
        "date": ("C", "moved by the patient's shift, in its precision; time of day and zone stay"),
        "birth": ("C", "only the year, moved; who would be older than 90 is 90"),
        "id": ("U", "a Patient's is the pseudonym, another's an HMAC"),
        "reference": ("U", "by the same HMAC, without display; only to resources of the list"),
        "uid": ("U", "2.25. and an HMAC, as in DICOM"),
        "unit": ("K", "kept where it is made of units of the list"),
        "system": ("K", "kept where it is on the list"),
        "prose": ("C", "cleaned by the rules for notes (--keep free-text)")
        if "free-text" in policy.options
        else ("C", "only the words of schemas/deid_note.toml that are clinical are kept"),
        "attachment": ("C", "plain text is cleaned by the rules for notes; anything else is removed"),
        "Coding": (
            "C",
            "system and code kept where the system is known and the code has its form; display "
            + ("cleaned (--keep displays)" if "displays" in policy.options else "removed"),
        ),
    }
    places: dict[str, list[str]] = {what: [] for what in told}
    for group, paths in (*lists["resources"].items(), *lists["types"].items()):
        for name, what in paths.items():
            if what in places:
                places[what].append(f"{group}.{name}")
    rows = [Row("fhir", ", ".join(places[what]), *told[what]) for what in told if places[what]]
    fixed = [
        ("meta", "D", "PSEUDED and our seal"),
        ("Bundle", "D", "made anew as a collection"),
        ("text, contained, extension, identifier, name, telecom, address, photo, contact", "X", "removed"),
        ("Resources of other types", "X", "removed"),
        ("Everything else", "X", "removed"),
    ]
    return [*rows, *(Row("fhir", *one) for one in fixed)]
