"""Check a report against the R4B models of `fhir.resources`.

In:  a Bundle as a dict. Out: nothing, or an error that names resource and field, never a value.

It does not check code bindings, which the library does not know.
"""

from typing import Any

from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

from clinic_mm.errors import ClinicError


def check_bundle(bundle: dict[str, Any]) -> None:
    """Validate the bundle and every resource in it.

    Raises:
        ClinicError: With the kind of resource and the field; the library's own words would repeat the values.
    """
    shell = {**bundle, "entry": [{"fullUrl": entry["fullUrl"]} for entry in bundle["entry"]]}
    for resource in (*(entry["resource"] for entry in bundle["entry"]), shell):
        check_resource(resource)


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
            "Report this as a fault of clinic_mm",
        ) from None
