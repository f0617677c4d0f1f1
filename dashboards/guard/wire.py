"""The websocket of a page: opened only from our own pages by a signed-in person, and closed when the session is over.

In:  a websocket that wants to be opened. Out: passed on to Streamlit, watched in both directions; or refused (403).

    from the browser   counts as use, unless the page asked by itself; a Streamlit session can be taken up again only by
                       the session of ours that it was opened for
    to the browser     media addresses and the Streamlit session id are noted as this session's (`guard.belongings`)
    every half minute  the session is looked up, and the websocket closed when it is over
"""

import asyncio
import time
from contextlib import suppress
from typing import Final

from anyio import to_thread
from google.protobuf.message import DecodeError
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg

from guard import log, origin, room
from guard.belongings import belongings
from guard.person import Person
from guard.session import key_of, person_of

LOOKED_UP_EVERY_S: Final = 30.0
REFUSED: Final = 1008
"""Policy violation (RFC 6455, 7.4.1)."""
STREAM: Final = "/_stcore/stream"
"""The only websocket there is."""
FIRST_FRAMES: Final = 8
"""Among these Streamlit names its session."""
PROTOCOLS: Final = b"sec-websocket-protocol"


class Wire:
    """One websocket at a time is handed to it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Open it or not, and pass on what goes through it."""
        began = time.monotonic()
        asked = HTTPConnection(scope)
        token = asked.cookies.get(room.opened().cookie, "")
        person = await to_thread.run_sync(lambda: person_of(token, use=True))
        if person is None or not self._may_open(asked, str(scope["path"])):
            log.answered(person.user if person else "", "WS", "refused", 403, 0.0)
            await send({"type": "websocket.close", "code": REFUSED})
            return
        key = key_of(token)
        scope = {**scope, "headers": _own_session_only(list(scope["headers"]), key)}
        scope["state"] = {**scope.get("state", {}), "person": person}
        watched = _Watched(token, key, receive, send)
        watch = asyncio.create_task(watched.watch())
        log.answered(person.user, "WS", "opened", 101, 0.0)
        try:
            await self.app(scope, watched.receive, watched.send)
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch
            log.answered(person.user, "WS", "closed", watched.code, 1000 * (time.monotonic() - began))

    @staticmethod
    def _may_open(asked: HTTPConnection, path: str) -> bool:
        ours = "origin" in asked.headers and origin.comes_from_us(asked.headers, "WS")
        return path == STREAM and ours and origin.host_allowed(asked.headers)


class _Watched:
    """Both directions of one websocket."""

    def __init__(self, token: str, key: str, receive: Receive, send: Send) -> None:
        self._token, self._key, self._receive, self._send = token, key, receive, send
        self._over = asyncio.Event()
        self._frames, self.code = 0, 1000
        self._accepted = False

    async def watch(self) -> None:
        """Close when the session is over."""
        while await self._person(use=False) is not None:
            await asyncio.sleep(LOOKED_UP_EVERY_S)
        await self._close()

    async def receive(self) -> Message:
        """What the browser sends; a goodbye once the session is over."""
        mine = asyncio.ensure_future(self._receive())
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait({mine, over}, return_when=asyncio.FIRST_COMPLETED)
            if self._over.is_set():
                return {"type": "websocket.disconnect", "code": REFUSED}
            message = mine.result()
        finally:
            for task in (mine, over):
                task.cancel()
        if message.get("bytes") and _somebody_acts(message["bytes"]) and await self._person(use=True) is None:
            await self._close()
            return {"type": "websocket.disconnect", "code": REFUSED}
        return message

    async def send(self, message: Message) -> None:
        """What Streamlit sends; nothing more once the session is over."""
        if self._over.is_set():
            return
        self._accepted = self._accepted or message["type"] == "websocket.accept"
        frame = message.get("bytes")
        if frame:
            self._frames += 1
            if self._frames <= FIRST_FRAMES:
                belongings.note_id(self._key, frame)
            belongings.note(self._key, frame)
        await self._send(message)

    async def _close(self) -> None:
        self._over.set()
        self.code = REFUSED
        if self._accepted:
            with suppress(RuntimeError, OSError):  # the browser may be gone already
                await self._send({"type": "websocket.close", "code": REFUSED})

    async def _person(self, *, use: bool) -> Person | None:
        return await to_thread.run_sync(lambda: person_of(self._token, use=use))


def _somebody_acts(frame: bytes) -> bool:
    """Whether a person did something, rather than a part of the page that runs by the clock."""
    try:
        message = BackMsg.FromString(frame)
    except DecodeError:
        return True
    return not message.rerun_script.is_auto_rerun


def _own_session_only(headers: list[tuple[bytes, bytes]], key: str) -> list[tuple[bytes, bytes]]:
    """Leave out the third sub-protocol, the id of the Streamlit session to take up, where it is not this session's."""

    def kept(value: bytes) -> bytes:
        parts = [part.strip() for part in value.split(b",")]
        if len(parts) > 2 and not belongings.owns_id(key, parts[2].decode("latin-1")):
            parts = parts[:2]
        return b", ".join(parts)

    return [(name, kept(value) if name.lower() == PROTOCOLS else value) for name, value in headers]
