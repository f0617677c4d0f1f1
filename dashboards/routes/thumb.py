"""Small pictures for the work list, to those who may see the evidence of the case.

    /v1/case/{case_key}/thumb    200 a PNG; 202 it is being made: ask again; 404 there is none

In:  an opaque case key. Out: at once, whatever it is; nothing is decoded while anybody waits (`viewing.thumbs`).
"""

from functools import cache
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clinic_mm.errors import ClinicError
from clinic_mm.viewing.cache import ViewCache
from clinic_mm.viewing.thumbs import Found, Thumbs
from components.evidence import pictures, roots
from components.opened import changed_at, opened_run
from guard import guarded, room
from routes.pixels import studies

FOLDER: Final = "thumbs"
MOST_BYTES: Final = 64 * 2**20
"""About 2,900 pictures."""
AGAIN_S: Final = "1"


@cache
def thumbs() -> Thumbs:
    """Of this process; on disk they lie in the home of the room."""
    return Thumbs(ViewCache(room.opened().home / FOLDER, MOST_BYTES), studies().cache, _found)


@guarded("see_evidence")
def thumb(request: Request) -> Response:
    """The small picture of a case."""
    try:
        found = thumbs().of(request.path_params["case_key"], changed_at(opened_run().path))
    except ClinicError:
        found = b""
    if found is None:
        return Response(status_code=202, headers={"Retry-After": AGAIN_S})
    return Response(found, media_type="image/png") if found else Response(status_code=404)


def _found(case_key: str) -> Found | None:
    """The latest CT of a case; where it has none, the latest radiograph."""
    first = next(iter(pictures(case_key)), None)
    return (*first, roots()) if first else None


routes: Final = [Route("/v1/case/{case_key}/thumb", thumb)]
