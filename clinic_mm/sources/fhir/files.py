"""Unpack FHIR R4 and R4B files: single resources, bundles and bulk NDJSON, plain or gzipped.

In:  one file.
Out: its resources as plain dictionaries, with what each reference in it points to.

Read as plain JSON, not validated: one strange resource must not cost a bundle, and names and addresses are not touched.
Other versions of FHIR are refused by name: a file as a whole where its resources show it, one odd resource alone.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.fhir.json_files import DOUBLED, documents
from clinic_mm.sources.fhir.policy import Resource as Resource
from clinic_mm.sources.fhir.policy import keeps, other_version, passed_over, stated_version, version_error

REFERENCE: Final = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/([A-Za-z0-9\-._]{1,64})(?:/_history/[^/]+)?$")
BY_IDENTIFIER: Final = re.compile(r"^Patient\?identifier=([^|&]*)\|([^|&]+)$")
MALFORMED: Final = (TypeError, AttributeError, KeyError, ValueError, IndexError, OverflowError)
"""What plain access raises on a resource of another shape than the standard's."""
IDENTIFIED: Final = "identifier:"
"""Stands before system and value of an identifier where no id is known yet."""


@dataclass(slots=True)
class FhirFile:
    """What one file holds beside its resources.

    Attributes:
        full_urls: `fullUrl` of a bundle entry to `Type/id`.
        owner: Id of the one Patient in the bundle that is being read, "" where there is none or several.
        stamp: `timestamp` of that bundle, "" where it has none.
        troubles: How often each trouble was met, by code.
        kinds: How many resources of each type were read.
        others: How many resources of each type showed each other version.
    """

    full_urls: dict[str, str] = field(default_factory=dict)
    owner: str = ""
    stamp: str = ""
    troubles: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    others: Counter[tuple[str, str]] = field(default_factory=Counter)
    _patients: dict[str, str] = field(default_factory=dict)
    _servers: dict[str, str] = field(default_factory=dict)
    _ambiguous: set[str] = field(default_factory=set)

    def target(self, reference: object) -> str:
        """`Type/id` that a Reference points to, "" where it points to nothing we know."""
        address = reference.get("reference") if isinstance(reference, dict) else None
        return self._address(address) if isinstance(address, str) else ""

    def patient(self, reference: object) -> str:
        """Whose a resource is: a patient id, or IDENTIFIED with an identifier; "" for anything else."""
        if not isinstance(reference, dict):
            return ""
        address = reference.get("reference")
        if address.__class__ is not str:
            return _identified(reference.get("identifier"), reference.get("type"))
        if address not in self._patients:
            self._patients[address] = self._patient(address)
        return self._patients[address]

    def name(self, resource: Resource, full_url: object) -> None:
        """Remember what a `fullUrl` stands for; a resource without an id takes the UUID of its address."""
        if not isinstance(full_url, str):
            return
        if not isinstance(resource.get("id"), str) and full_url.startswith("urn:uuid:"):
            resource["id"] = full_url.removeprefix("urn:uuid:")
        if not isinstance(one := resource.get("id"), str):
            return
        self.full_urls[full_url] = f"{resource['resourceType']}/{one}"
        self._patients.clear()
        if resource["resourceType"] == "Patient" and "://" in full_url:
            server = full_url.removesuffix(f"/Patient/{one}")
            if self._servers.setdefault(one, server) != server:
                self._ambiguous.add(one)

    def told_apart(self, resources: list[Resource]) -> list[Resource]:
        """Without the Patients of two servers that share an id: nobody can tell whose the other resources are."""
        odd = self._ambiguous
        kept = [one for one in resources if one["resourceType"] != "Patient" or str(one.get("id")) not in odd]
        if len(kept) < len(resources):
            self.troubles["fhir.conflicting_patient"] += len(resources) - len(kept)
        return kept

    def _patient(self, address: str) -> str:
        if found := BY_IDENTIFIER.match(address):
            return f"{IDENTIFIED}{found[1]}|{found[2]}"
        kind, _, one = self._address(address).partition("/")
        return one if kind == "Patient" and one not in self._ambiguous else ""

    def _address(self, address: str) -> str:
        if known := self.full_urls.get(address):
            return known
        found = REFERENCE.search(address)
        return f"{found[1]}/{found[2]}" if found else ""


def _identified(identifier: object, kind: object) -> str:
    """A logical reference: it names its target by an identifier alone."""
    if not isinstance(identifier, dict) or kind not in {None, "Patient"}:
        return ""
    system, value = identifier.get("system"), identifier.get("value")
    return f"{IDENTIFIED}{system}|{value}" if isinstance(system, str) and isinstance(value, str) and value else ""


def read_resources(path: Path, file: FhirFile, wanted: frozenset[str] | None = None) -> Iterator[Resource]:
    """All resources of a file that are wanted; troubles are counted in `file` and never stop it.

    Args:
        path: The file.
        file: Takes what is met beside the resources.
        wanted: Types of resources, None for all.

    Raises:
        EvidenceError: `fhir.unreadable` (cannot be opened or unpacked), `fhir.not_json`, `fhir.not_fhir`, `fhir.xml`,
            `fhir.version` (is of another version of FHIR), `fhir.too_large`, `fhir.bomb`, `fhir.doubled_key`. What was
            read of the file by then must not be used.
    """
    any_found = False
    passed = frozenset[bytes]() if wanted is None else passed_over() - {kind.encode() for kind in wanted}
    for document in documents(path, file.troubles, passed):
        if document is None:
            any_found = True
            continue
        if not isinstance(document, dict) or not isinstance(document.get("resourceType"), str):
            file.troubles["fhir.not_fhir"] += 1
            continue
        any_found = True
        if document["resourceType"] == "Bundle":
            yield from _entries(document, file, wanted)
        elif _usable(document, file, wanted):
            yield document
    if not any_found:
        file.troubles.pop("fhir.not_fhir", None)  # said once, by the error
        mend = "Give R4 or R4B resources as JSON or NDJSON"
        raise EvidenceError("fhir.not_fhir", "The file holds no FHIR resource", "", mend)
    if file.others and (version := _version_of(path, file)):
        raise version_error(version)


def _usable(resource: Resource, file: FhirFile, wanted: frozenset[str] | None) -> bool:
    kind = resource["resourceType"]
    if kind == "CapabilityStatement" and (said := stated_version(resource)):
        raise version_error(said)  # a statement about all that comes with it
    if kind == DOUBLED["resourceType"]:
        file.troubles["fhir.doubled_key"] += 1
        return False
    file.kinds[kind] += 1
    try:
        version = other_version(resource)
    except MALFORMED:
        file.troubles["fhir.bad_resource"] += 1
        return False
    if version:
        file.others[kind, version] += 1
        file.troubles["fhir.version"] += 1
    return not version and (wanted is None or kind in wanted)


def _entries(bundle: Resource, file: FhirFile, wanted: frozenset[str] | None, depth: int = 0) -> Iterator[Resource]:
    entries = bundle.get("entry")
    if depth > 2 or not isinstance(entries, list | None):
        file.troubles["fhir.bad_resource"] += 1
        return
    held: list[Resource] = []
    for entry in entries or ():
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
            file.troubles["fhir.bad_resource"] += 1
            continue
        file.name(resource, entry.get("fullUrl"))
        held.append(resource)
    patients = {one["id"] for one in held if one["resourceType"] == "Patient" and isinstance(one.get("id"), str)}
    held = file.told_apart(held)
    outer = file.owner, file.stamp
    file.owner = patients.pop() if len(patients) == 1 else file.owner
    file.stamp = stamp if isinstance(stamp := bundle.get("timestamp"), str) else file.stamp
    for resource in held:
        if resource["resourceType"] == "Bundle":
            yield from _entries(resource, file, wanted, depth + 1)
        elif _usable(resource, file, wanted):
            yield resource
    file.owner, file.stamp = outer


def _version_of(path: Path, file: FhirFile) -> str:
    """The other version that the file as a whole is of.

    It is, where at least half of the resources of some type show it, and fewer resources have what only R4 has.
    """
    versions: Counter[str] = Counter()
    for (kind, version), count in file.others.items():
        versions[version] += count if 2 * count >= file.kinds[kind] else 0
    version, shown = versions.most_common(1)[0]
    return version if shown > _keeping(path, version) else ""


def _keeping(path: Path, version: str) -> int:
    """How many resources of a file have elements that a version does not have."""
    found = 0
    for document in documents(path, Counter(), passed_over()):
        resources = [document] if isinstance(document, dict) else []
        while resources:
            one = resources.pop()
            if isinstance(entries := one.get("entry"), list):
                inside = (entry.get("resource") for entry in entries if isinstance(entry, dict))
                resources += [resource for resource in inside if isinstance(resource, dict)]
            elif isinstance(one.get("resourceType"), str):
                found += keeps(one, version) and not _shows(one)
    return found


def _shows(resource: Resource) -> bool:
    try:
        return bool(other_version(resource))
    except MALFORMED:
        return True
