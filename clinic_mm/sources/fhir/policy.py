"""What the policy tables say of FHIR: versions and how they show, statuses, types that are passed over, code systems.

In:  schemas/fhir.toml and schemas/code_systems.toml. Out: the same, made ready to ask. Nothing here sees a resource's
content beyond its element names.
"""

import re
from collections import Counter
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

from clinic_mm import bundle
from clinic_mm.errors import EvidenceError

Resource: TypeAlias = dict[str, Any]
PROFILE_VERSION: Final = re.compile(r"hl7\.org/fhir/([^/]+)/StructureDefinition", re.IGNORECASE)
FORMS: Final = {str: "text", list: "list", dict: "object"}
OLDEST_FIRST: Final = ("DSTU1", "DSTU2", "STU3", "R5", "R6")


class Marks(NamedTuple):
    """By what one type of resource shows that it is of another version.

    Attributes:
        fields: Element to the version that alone has it.
        names: The same elements, and `fhirVersion`: to ask for all at once.
        shapes: Element, its form (text, list, object), and the version that holds it in that form.
        version: The version that alone has this type, "" where R4 has it.
    """

    fields: Mapping[str, str]
    names: frozenset[str]
    shapes: tuple[tuple[str, type, str], ...]
    version: str


def other_version(resource: Resource) -> str:
    """The version of FHIR that a resource shows itself to be of, where it is none that is read; "" otherwise."""
    marks = marks_of(resource["resourceType"])
    odd = bool(marks.version) or not marks.names.isdisjoint(resource)
    for name, form, _ in marks.shapes:
        if resource.get(name).__class__ is form:
            odd = True
    meta = resource.get("meta")
    if meta and (profiles := meta.get("profile")):
        for one in profiles:
            if _profile_version(one):
                odd = True
    return _shown(resource, marks) if odd else ""


def _shown(resource: Resource, marks: Marks) -> str:
    """The version that most marks speak for, of two the older."""
    votes = Counter(version for name, version in marks.fields.items() if name in resource)
    votes.update(version for name, form, version in marks.shapes if type(resource.get(name)) is form)
    profiles = (resource.get("meta") or {}).get("profile") or ()
    votes.update(version for one in profiles if (version := _profile_version(one)))
    if said := stated_version(resource) or marks.version:
        return said
    return max(votes, key=lambda name: (votes[name], -OLDEST_FIRST.index(name))) if votes else ""


def stated_version(resource: Resource) -> str:
    """The version that `fhirVersion` states, where it is none that is read (CapabilityStatement and its like)."""
    return named_version(str(resource.get("fhirVersion") or "")[:3])


def named_version(text: str) -> str:
    """The version behind a name or number, where it is none that is read."""
    named = _policy()["named"]
    return str(named.get(text) or named.get(text.upper()) or "")


def keeps(resource: Resource, version: str) -> bool:
    """Whether a resource has elements of R4 that the other version does not have."""
    return not _kept(version).isdisjoint(resource)


def version_error(version: str) -> EvidenceError:
    """The refusal of a whole file, by the version's name."""
    return EvidenceError("fhir.version", f"This is FHIR {version}", "", f"Export it as {_policy()['reads']}")


@lru_cache(maxsize=1 << 10)
def marks_of(kind: str) -> Marks:
    """The marks of one type of resource."""
    policy = _policy()
    fields = {name: version for version, names in policy["fields"].get(kind, {}).items() for name in names}
    forms = {name: form for form, name in FORMS.items()}
    shapes = policy["shapes"].get(kind, {})
    found = tuple((name, forms[form], version) for name, how in shapes.items() for form, version in how.items())
    version = next((one for one, kinds in policy["types"].items() if kind in kinds), "")
    return Marks(fields, frozenset({*fields, "fhirVersion"}), found, version)


@lru_cache(maxsize=1 << 10)
def statuses(kind: str) -> tuple[frozenset[str], frozenset[str]]:
    """Statuses of a type of resource under which something has happened, and under which nothing has (yet)."""
    found = _policy()["status"].get(kind, {})
    return frozenset(found.get("fact", ())), frozenset(found.get("none", ()))


@cache
def passed_over() -> frozenset[bytes]:
    """Types of resources that hold nothing that is read, as they stand in a line."""
    return frozenset(name.encode() for name in _policy()["passed_over"]["types"])


@cache
def systems() -> dict[str, str]:
    """Address of a code system to the short name that stands before its codes."""
    return dict(bundle.policy("code_systems")["systems"])


@lru_cache(maxsize=1 << 12)
def _profile_version(address: str) -> str:
    found = PROFILE_VERSION.search(address)
    return named_version(found[1]) if found else ""


@cache
def _kept(version: str) -> frozenset[str]:
    return frozenset(_policy()["kept"].get(version, ()))


@cache
def _policy() -> dict[str, Any]:
    return bundle.policy("fhir")
