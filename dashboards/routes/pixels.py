"""Slices and pictures, 16 bits a pixel, to those who may see the case.

    /v1/case/{case_key}/ahead                                 202 at once: its studies are decoded beside the work
    /v1/case/{case_key}/ct/{study}/header                     shape, spacing, flags: JSON
    /v1/case/{case_key}/ct/{study}/{plane}/{first}?count=16   neighbouring planes: int16, little endian, HU
    /v1/case/{case_key}/xray/{study}/header                   shape, windows, spacing, letters, flags: JSON
    /v1/case/{case_key}/xray/{study}/pixels                   the picture: int16, little endian

In:  an address with opaque names. Out: bytes; or 404 (no such case, study or plane) and 422 (it cannot be shown), with
what is wrong and how to mend it as JSON. Nothing identifying is in an answer.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from clinic_mm.errors import ClinicError, EvidenceError, InputError
from clinic_mm.viewing.cache import DamagedError, ViewCache
from clinic_mm.viewing.study import Studies
from clinic_mm.viewing.volume import Readable, planes
from components.evidence import pictures, roots, study
from guard import guarded, room

FOLDER: Final = "views"
BYTES: Final = "application/octet-stream"


@cache
def studies() -> Studies:
    """What this process has opened; its disk cache lies in the home of the room."""
    opened = room.opened()
    return Studies(ViewCache(opened.home / FOLDER, int(opened.site.view_cache_gb * 1e9)))


@guarded("see_evidence")
def ahead(request: Request) -> Response:
    """Decode the latest CT and radiograph of a case beside the work: it will be opened soon."""
    with suppress(ClinicError):  # told to whoever opens it
        studies().warm(pictures(request.path_params["case_key"]), roots())
    return Response(status_code=202)


@guarded("see_evidence")
def ct_header(request: Request) -> Response:
    """What a screen must know to draw a volume true."""
    return _answer(request, "ct", lambda view: JSONResponse(view.told))


@guarded("see_evidence")
def ct_planes(request: Request) -> Response:
    """Neighbouring planes of a volume."""
    asked = request.query_params.get("count", "1")
    count = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 4 else 0
    name, first = request.path_params["plane"], request.path_params["first"]
    return _answer(request, "ct", lambda view: Response(planes(view, name, first, count), media_type=BYTES))


@guarded("see_evidence")
def xray_header(request: Request) -> Response:
    """What a screen must know to show a radiograph as it was meant to be."""
    return _answer(request, "xray", lambda view: JSONResponse(view.told))


@guarded("see_evidence")
def xray_pixels(request: Request) -> Response:
    """All values of a radiograph."""
    return _answer(request, "xray", lambda view: Response(view.whole().astype("<i2").tobytes(), media_type=BYTES))


def _answer(request: Request, kind: str, made: Callable[[Readable], Response]) -> Response:
    """The answer of an opened study; one that lies damaged in the cache is decoded again, once."""
    try:
        evidence = study(request.path_params["case_key"], kind, request.path_params["study"])
        try:
            return made(studies().opened(evidence, kind, roots()))
        except DamagedError:
            studies().damaged(evidence, kind, roots())
            return made(studies().opened(evidence, kind, roots()))
    except ClinicError as error:
        unknown = isinstance(error, InputError) and not isinstance(error, EvidenceError)
        return JSONResponse({"what": error.what, "mend": error.mend}, status_code=404 if unknown else 422)


CASE: Final = "/v1/case/{case_key}"
routes: Final = [
    Route(f"{CASE}/ahead", ahead),
    Route(f"{CASE}/ct/{{study}}/header", ct_header),
    Route(f"{CASE}/ct/{{study}}/{{plane}}/{{first:int}}", ct_planes),
    Route(f"{CASE}/xray/{{study}}/header", xray_header),
    Route(f"{CASE}/xray/{{study}}/pixels", xray_pixels),
]
