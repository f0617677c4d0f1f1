"""The report of a case as a file, to those who may hand it on and have given their own opinion.

    /v1/case/{case_key}/report/{spelling}    text, html, pdf, fhir or sr: always a download, named after the opaque key

In:  an address. Out: bytes; 404 (no such case or spelling), 409 (the answer is sealed for this reader) and 422 (none is
there, or it cannot be written), with what is wrong and how to mend it as JSON. No report from here names the patient.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from clinic_mm.errors import ClinicError, InputError
from clinic_mm.report.render import MEDIA_TYPES, SUFFIXES, checked_spelling, rendered
from clinic_mm.report.run import checked_key
from clinic_mm.report.setting import setting_of
from clinic_mm.store.refused import SealedError
from clinic_mm.store.reported import signed_of
from clinic_mm.store.values import CaseFile
from components.opened import opened_run
from guard import guarded, room


@guarded("report")
def report(request: Request) -> Response:
    """One report. That the reader was shown the answer is on record from then on."""
    key, spelling = request.path_params["case_key"], request.path_params["spelling"]
    try:
        checked_spelling(spelling)
        file = room.opened().store.case(key)
    except ClinicError as error:
        return _refused(error, 404)
    try:
        content = _written(file, spelling, request.state.person.user)
    except SealedError as error:
        return _refused(error, 409)
    except ClinicError as error:
        return _refused(error, 422)
    headers = {"Content-Disposition": f'attachment; filename="{checked_key(key)}{SUFFIXES[spelling]}"'}
    return Response(content, media_type=MEDIA_TYPES[spelling], headers=headers)


def _written(file: CaseFile, spelling: str, user: str) -> bytes:
    here, info = room.opened(), opened_run().info
    prediction = here.store.prediction(file.case_key, user, read_first=here.site.read_first)
    if prediction is None:
        raise InputError("This case has no answer to report", "", file.reason)
    if prediction.model_hash != info.model.hash:
        raise InputError("This answer is of another model than this run's", "", "Open the run that it came from")
    return rendered(prediction, setting_of(info, prediction, signed_of(file)), spelling)


def _refused(error: ClinicError, status: int) -> Response:
    return JSONResponse({"what": error.what, "mend": error.mend}, status_code=status)


routes: Final = [Route("/v1/case/{case_key}/report/{spelling}", report)]
