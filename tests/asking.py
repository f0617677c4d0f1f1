"""Ask routes without a server and without a door: who asks is said by the test."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.routing import BaseRoute


class Asking:
    """Requests to some routes, one at a time.

    Attributes:
        who: The `guard.Person` that asks; None for somebody without a session.
    """

    def __init__(self, routes: Sequence[BaseRoute], who: object) -> None:
        self.who = who
        self._app = Starlette(routes=list(routes))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - as ASGI has them
        scope.setdefault("state", {})["person"] = self.who
        await self._app(scope, receive, send)

    def get(self, path: str) -> httpx2.Response:
        """The answer to one request."""

        async def asked() -> httpx2.Response:
            async with httpx2.AsyncClient(transport=httpx2.ASGITransport(self), base_url="http://room") as client:
                return await client.get(path)

        return asyncio.run(asked())
