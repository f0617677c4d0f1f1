"""Check a report against the R4B models of `fhir.resources`, and against what these do not know.

In:  a Bundle as a dict. Out: nothing, or an error that names resource and field, never a value.

The library knows neither code bindings nor where references lead: the ones that a report uses stand in
schemas/fhir_report.toml, and a code or a target that is not there is refused.
"""

from collections.abc import Iterator
from typing import Any

from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

from clinic_mm.bundle import policy
from clinic_mm.errors import ClinicError

OURS = "Report this as a fault of clinic_mm"


def check_bundle(bundle: dict[str, Any]) -> None:
    """Validate the bundle and every resource in it.

    Raises:
        ClinicError: With the kind of resource and the field; the library's own words would repeat the values.
    """
    shell = {**bundle, "entry": [{"fullUrl": entry["fullUrl"]} for entry in bundle["entry"]]}
    for resource in (*(entry["resource"] for entry in bundle["entry"]), shell):
        check_resource(resource)
    check_references(bundle)
    check_codes(bundle)


def check_references(bundle: dict[str, Any]) -> None:
    """Every resource has its own address, every reference leads to one of a kind that fits its field.

    Raises:
        ClinicError: With the kind of resource and the field.
    """
    kinds = {entry["fullUrl"]: entry["resource"]["resourceType"] for entry in bundle["entry"]}
    own = {f"urn:uuid:{entry['resource']['id']}" for entry in bundle["entry"]}
    if len(kinds) != len(bundle["entry"]) or own != set(kinds):
        raise ClinicError("Two resources of a report share an address", "Bundle / entry", OURS)
    allowed = policy("fhir_report")["references"]
    for entry in bundle["entry"]:
        kind = entry["resource"]["resourceType"]
        for field, target in _references(entry["resource"]):
            if kinds.get(target) not in allowed.get(f"{kind}.{field}", ()):
                raise ClinicError("A reference of a report leads nowhere", f"{kind} / {field}", OURS)


def check_codes(bundle: dict[str, Any]) -> None:
    """Codes that a field is bound to.

    Raises:
        ClinicError: With the kind of resource and the field.
    """
    for place, allowed in policy("fhir_report")["codes"].items():
        kind, field = place.split(".")
        for entry in bundle["entry"]:
            found = entry["resource"]
            if found["resourceType"] == kind and found.get(field, allowed[0]) not in allowed:
                raise ClinicError("A code of a report is not of its value set", f"{kind} / {field}", OURS)


def _references(value: object, field: str = "") -> Iterator[tuple[str, str]]:
    """Each reference with the path of its field, positions in lists left out."""
    if isinstance(value, dict):
        if "reference" in value:
            yield field, value["reference"]
        for name, inner in value.items():
            yield from _references(inner, f"{field}.{name}" if field else name)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner, field)


def check_resource(resource: dict[str, Any]) -> None:
    """Validate one resource.

    Raises:
        ClinicError: As `check_bundle`.
    """
    kind = resource["resourceType"]
    try:
        get_fhir_model_class(kind).model_validate(resource)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ClinicError(
            f"A report is not valid FHIR R4B ({first['type']})",
            f"{kind} / {field}",
            OURS,
        ) from None
