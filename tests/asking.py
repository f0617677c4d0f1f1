"""Ask routes without a server and without a door: who asks is said by the test."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.applications import Starlette
from starlette.routing import BaseRoute


@dataclass
class Answer:
    """What came back."""

    status_code: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""

    @property
    def text(self) -> str:
        """The content as text."""
        return self.content.decode()

    def json(self) -> Any:  # noqa: ANN401 - whatever was sent
        """The content as JSON."""
        return json.loads(self.content)


class Asking:
    """Requests to some routes, one at a time, by ASGI.

    Attributes:
        who: The `guard.Person` that asks; None for somebody without a session.
    """

    def __init__(self, routes: Sequence[BaseRoute], who: object) -> None:
        self.who = who
        self._app = Starlette(routes=list(routes))

    def get(self, path: str) -> Answer:
        """The answer to one request."""
        parts, answer = urlsplit(path), Answer()
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": unquote(parts.path),
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [(b"host", b"room")],
            "server": ("room", 80),
            "client": ("127.0.0.1", 1),
            "state": {"person": self.who},
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:  # noqa: ANN401 - as ASGI has it
            if message["type"] == "http.response.start":
                answer.status_code = message["status"]
                answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            elif message["type"] == "http.response.body":
                answer.content += message.get("body", b"")

        asyncio.run(self._app(scope, receive, send))
        return answer
