"""Endpoints that answer only those who may: 401 without a session, 403 without the right, and not a word more.

In:  a Starlette endpoint, sync or async, and the act it needs. Out: the same, guarded; `request.state.person` is set.

A path parameter `case_key` is the case that the act is about. Nothing guarded is kept by a browser or a proxy.
"""

from collections.abc import Awaitable, Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from guard.glass import may
from guard.rules import rules

Endpoint = Callable[[Request], Response] | Callable[[Request], Awaitable[Response]]
NOT_KEPT: Final = "private, no-store"
MARK: Final = "__guarded__"
CASE: Final = "case_key"


def guarded(act: str) -> Callable[[Endpoint], Callable[[Request], Awaitable[Response]]]:
    """Let only those through who may do `act`.

    Raises:
        AssertionError: If the table has no such act.
    """
    assert act in rules().acts, f"schemas/roles.toml has no act {act}"

    def around(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        @wraps(endpoint)
        async def asked(request: Request) -> Response:
            person = getattr(request.state, "person", None)
            if person is None:
                return refusal(401)
            if not await run_in_threadpool(may, person, act, request.path_params.get(CASE)):
                return refusal(403)
            answer: Any = endpoint(request) if iscoroutinefunction(endpoint) else run_in_threadpool(endpoint, request)
            response: Response = await answer
            response.headers["Cache-Control"] = NOT_KEPT
            return response

        setattr(asked, MARK, act)
        return asked

    return around


def refusal(status: int) -> Response:
    """No, without a word more."""
    return Response(status_code=status, headers={"Cache-Control": NOT_KEPT})
