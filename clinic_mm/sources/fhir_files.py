"""Unpack FHIR R4 and R4B files: single resources, bundles and bulk NDJSON, plain or gzipped.

In:  one file.
Out: its resources as plain dictionaries, with what each reference in it points to.

Read as plain JSON, not validated: one strange resource must not cost a bundle, and names and addresses are not touched.
"""

import gzip
import re
import tomllib
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson

from clinic_mm import bundle
from clinic_mm.errors import EvidenceError

Resource: TypeAlias = dict[str, Any]
MAX_BYTES: Final = 1 << 30
"""Largest document (bundle, or line of NDJSON) after unpacking; a small gzip file can hide a huge one."""
PROFILE_VERSION: Final = re.compile(r"hl7\.org/fhir/([^/]+)/StructureDefinition", re.IGNORECASE)
REFERENCE: Final = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[^/]+)?$")
MALFORMED: Final = (TypeError, AttributeError, KeyError, ValueError, IndexError, OverflowError)
"""What plain access raises on a resource of another shape than the standard's."""


@dataclass(slots=True)
class FhirFile:
    """What one file holds beside its resources.

    Attributes:
        full_urls: `fullUrl` of a bundle entry to `Type/id`.
        troubles: How often each trouble was met, by code.
    """

    full_urls: dict[str, str] = field(default_factory=dict)
    troubles: Counter[str] = field(default_factory=Counter)

    def target(self, reference: object) -> str:
        """`Type/id` that a Reference points to, "" where it points to nothing we know."""
        address = reference.get("reference") if isinstance(reference, dict) else None
        if not isinstance(address, str):
            return ""
        if known := self.full_urls.get(address):
            return known
        found = REFERENCE.search(address)
        return f"{found[1]}/{found[2]}" if found else ""

    def patient(self, reference: object) -> str:
        """The patient id that a Reference points to, "" for anything else."""
        kind, _, one = self.target(reference).partition("/")
        return one if kind == "Patient" else ""


@cache
def _policy() -> dict[str, Any]:
    return tomllib.loads((bundle.folder("schemas") / "code_systems.toml").read_text(encoding="utf-8"))


@cache
def systems() -> dict[str, str]:
    """Address of a code system to the short name that stands before its codes."""
    return dict(_policy()["systems"])


def read_resources(path: Path, file: FhirFile) -> Iterator[Resource]:
    """All resources of a file; troubles are counted in `file` and never stop it.

    Raises:
        EvidenceError: `fhir.unreadable` (cannot be opened or unpacked), `fhir.not_json`, `fhir.not_fhir`,
            `fhir.version` (names another version of FHIR), `fhir.too_large`.
    """
    any_found = False
    for document in _documents(path, file):
        if not isinstance(document, dict) or not isinstance(document.get("resourceType"), str):
            file.troubles["fhir.not_fhir"] += 1
            continue
        any_found = True
        yield from _unpacked(document, file)
    if not any_found:
        file.troubles.pop("fhir.not_fhir", None)  # said once, by the error
        mend = "Give R4 or R4B resources as JSON or NDJSON"
        raise EvidenceError("fhir.not_fhir", "The file holds no FHIR resource", "", mend)


def _documents(path: Path, file: FhirFile) -> Iterator[object]:
    lines = any(suffix.lower() in {".ndjson", ".jsonl"} for suffix in path.suffixes[-2:])
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream = gzip.GzipFile(fileobj=raw) if packed else raw
            if not lines:
                yield _whole(_limited(stream.read(MAX_BYTES + 1)))
                return
            while line := _limited(stream.readline(MAX_BYTES + 1)):
                if line.strip():
                    yield from _line(line, file)
    except (OSError, EOFError, zlib.error):
        raise EvidenceError("fhir.unreadable", "The file cannot be read or unpacked", "", "Copy it again") from None


def _whole(content: bytes) -> object:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        raise EvidenceError("fhir.not_json", "The file is not JSON", "", "Export it again") from None


def _line(line: bytes, file: FhirFile) -> Iterator[object]:
    try:
        yield orjson.loads(line)
    except orjson.JSONDecodeError:
        file.troubles["fhir.bad_line"] += 1


def _limited(content: bytes) -> bytes:
    if len(content) > MAX_BYTES:
        raise EvidenceError("fhir.too_large", "The file unpacks to more than 1 GiB", "", "Export it as NDJSON")
    return content


def _unpacked(document: Resource, file: FhirFile, depth: int = 0) -> Iterator[Resource]:
    _check_version(document)
    if document["resourceType"] != "Bundle":
        yield document
        return
    entries = document.get("entry")
    if depth > 2 or not isinstance(entries, list | None):
        file.troubles["fhir.bad_resource"] += 1
        return
    held: list[Resource] = []
    for entry in entries or ():
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
            file.troubles["fhir.bad_resource"] += 1
            continue
        _name(resource, entry.get("fullUrl"), file)
        held.append(resource)
    for resource in held:
        yield from _unpacked(resource, file, depth + 1)


def _name(resource: Resource, full_url: object, file: FhirFile) -> None:
    """Remember what a `fullUrl` stands for; a resource without an id takes the UUID of its address."""
    if not isinstance(full_url, str):
        return
    if not isinstance(resource.get("id"), str) and full_url.startswith("urn:uuid:"):
        resource["id"] = full_url.removeprefix("urn:uuid:")
    if isinstance(resource.get("id"), str):
        file.full_urls[full_url] = f"{resource['resourceType']}/{resource['id']}"


def _check_version(resource: Resource) -> None:
    meta = resource.get("meta")
    profiles = meta.get("profile") if isinstance(meta, dict) else None
    said = [str(resource["fhirVersion"])[:3]] if "fhirVersion" in resource else []
    if isinstance(profiles, list):
        said += [found[1] for one in profiles if isinstance(one, str) and (found := PROFILE_VERSION.search(one))]
    refused = _policy()["fhir"]["refused"]
    for one in said:
        if name := refused.get(one) or refused.get(one.upper()):
            what, mend = f"The file is FHIR {name}", f"Export it as {_policy()['fhir']['reads']}"
            raise EvidenceError("fhir.version", what, "", mend)
