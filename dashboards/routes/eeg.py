"""Pages of an EEG and what is seen of it as a whole, to those who may see the case.

    /v1/case/{case_key}/eeg/{study}                     channels, montages, annotations, gaps: JSON
    /v1/case/{case_key}/eeg/{study}/page?start=&stop=   samples: volts, float32 little-endian, channel after channel
    /v1/case/{case_key}/eeg/{study}/overview            spectrogram and amplitude of the whole recording: JSON

In:  an address with opaque names. Out: as above; or 404 (no such case, study or page) and 422 (it cannot be shown),
with what is wrong and how to mend it as JSON. Nothing identifying is in an answer.

A page waits for nothing but its own samples: the pass over the whole recording runs beside, once, and is kept on disk.
"""

from collections.abc import Callable
from functools import cache
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from clinic_mm.errors import ClinicError, EvidenceError, InputError
from clinic_mm.viewing.eeg import page, told
from clinic_mm.viewing.eeg_overview import overview
from clinic_mm.viewing.eeg_study import EegStudies, EegStudy
from components.evidence import roots, study
from guard import guarded
from routes.pixels import studies as opened_views

BYTES: Final = "application/octet-stream"


@cache
def studies() -> EegStudies:
    """What this process has opened; surveys are kept in the cache of all viewers."""
    return EegStudies(opened_views().cache)


@guarded("see_evidence")
def header(request: Request) -> Response:
    """What a screen must know to draw a recording true."""
    return _answer(request, lambda eeg: JSONResponse(told(eeg.recording, eeg.quality)))


@guarded("see_evidence")
def samples(request: Request) -> Response:
    """Samples of all channels."""
    start, stop = (_whole(request.query_params.get(name, "")) for name in ("start", "stop"))
    return _answer(request, lambda eeg: Response(page(eeg.recording, start, stop), media_type=BYTES))


@guarded("see_evidence")
def whole(request: Request) -> Response:
    """The recording at a glance."""
    return _answer(request, lambda eeg: JSONResponse(overview(eeg.recording, eeg.survey())))


def _answer(request: Request, made: Callable[[EegStudy], Response]) -> Response:
    try:
        evidence = study(request.path_params["case_key"], "eeg", request.path_params["study"])
        return made(studies().opened(evidence, roots()))
    except ClinicError as error:
        unknown = isinstance(error, InputError) and not isinstance(error, EvidenceError)
        return JSONResponse({"what": error.what, "mend": error.mend}, status_code=404 if unknown else 422)
    except OSError:
        return JSONResponse({"what": "A file of this study can no longer be read", "mend": ""}, status_code=422)


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else -1


STUDY: Final = "/v1/case/{case_key}/eeg/{study}"
routes: Final = [Route(STUDY, header), Route(f"{STUDY}/page", samples), Route(f"{STUDY}/overview", whole)]
