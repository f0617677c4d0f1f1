"""The door before everything else: who has no session reaches nothing of the server, and nobody more than his own.

In:  every request and websocket, before Streamlit and our routes see it. Out: passed on with the person in
`scope["state"]`, or refused: 400 for a host we do not go by, 401 without a session, 403 without the right, 404 for an
address that the table does not know.

What holds for an address stands in `schemas/roles.toml`. The websocket has a file of its own: `guard.wire`.
"""

import time
from typing import Any, Final

from anyio import to_thread
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guard import log, oidc, origin, pages, room
from guard.belongings import belongings
from guard.guarded import refusal
from guard.headers import secured
from guard.person import Person
from guard.rules import ANYONE, CALLBACK, SIGNED, Address, rules
from guard.session import key_of, person_of
from guard.wire import Wire

ASKS_BY_ITSELF: Final = ("/session", "/_stcore/health", "/_stcore/host-config")
"""Addresses that open pages ask without anybody doing anything."""


class Door:
    """The middleware: `Middleware(Door)` of `st.App`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, one websocket, or the start of the server."""
        if scope["type"] == "websocket":
            await Wire(self.app)(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, path = time.monotonic(), str(scope["path"])
        asked = HTTPConnection(scope)
        token = asked.cookies.get(room.opened().cookie)
        person = await to_thread.run_sync(lambda: person_of(token, use=path not in ASKS_BY_ITSELF))
        told = 0

        async def out(message: Message) -> None:
            nonlocal told
            if message["type"] == "http.response.start":
                told = message["status"]
                https = scope.get("scheme") == "https" or room.opened().site.proxy.https
                message = {**message, "headers": secured(message.get("headers", ()), path, https=https)}
            await send(message)

        no = _refused(asked, path, str(scope["method"]), person, token)
        if no is None:
            scope.setdefault("state", {})["person"] = person
        try:
            if no is None and path == CALLBACK:
                no = await oidc.exchange(self.app, Request(scope, receive))
            await (no or self.app)(scope, receive, out)
        except Exception as error:  # noqa: BLE001 - the border to the network: messages may hold what a file said
            log.failed("a request", error)
            if not told:
                await refusal(500)(scope, receive, out)
        finally:
            took = 1000 * (time.monotonic() - began)
            log.answered(person.user if person else "", scope["method"], kind_of(path), told, took)


def _refused(
    asked: HTTPConnection, path: str, method: str, person: Person | None, token: str | None
) -> Response | None:
    """What is answered instead of passing a request on; None where it may pass."""
    headers = asked.headers
    if not origin.host_allowed(headers):
        return refusal(400)
    if not origin.comes_from_us(headers, method):
        return refusal(403)
    home = path == "/"
    page = home_of(person) if home and person else rules().page(path)
    address = None if page or home else rules().address(path)
    if address is not None and address.asks == ANYONE:
        return None if not address.oidc or "oidc" in room.opened().site.sign_in.by else refusal(404)
    if person is None:
        known = method == "GET" and (home or page is not None) and "text/html" in headers.get("accept", "")
        return _ask_to_sign_in(asked) if known else refusal(401)
    if page is not None:
        if method not in {"GET", "HEAD"} or not rules().allow(person.roles, page.act):
            return refusal(403) if method != "GET" else HTMLResponse(pages.not_yours(), 403)
        return RedirectResponse("/", 303) if not home and page == home_of(person) else None
    if address is None:
        return refusal(403 if home else 404)
    return None if _allowed(address, path, person, token or "") else refusal(403)


def _allowed(address: Address, path: str, person: Person, token: str) -> bool:
    if address.asks != SIGNED and not rules().allow(person.roles, address.asks):
        return False
    if not address.own:
        return True
    name = path[len(address.begins) :]
    owns = belongings.owns_media if address.begins == "/media/" else belongings.owns_id
    return owns(key_of(token), name.split("/", 1)[0])


def _ask_to_sign_in(asked: HTTPConnection) -> Response:
    """The sign-in page in place of the one that was asked for.

    Who follows a link of another site comes without his cookie, although he may have one (SameSite=Strict): the page
    that he gets first asks again from here.
    """
    if origin.from_elsewhere(asked.headers):
        return pages.answer(pages.again(), 200)
    to = asked.url.path + (f"?{asked.url.query}" if asked.url.query else "")
    return pages.answer(pages.sign_in(to), 401)


def home_of(person: Person) -> Any:  # noqa: ANN401 - a page or None
    """The first page that a person may see."""
    return next((page for page in rules().pages if rules().allow(person.roles, page.act)), None)


def kind_of(path: str) -> str:
    """What the log says of an address: the beginning that the table knows, never what follows."""
    if path == "/" or rules().page(path):
        return "page" if path == "/" else f"page:{path[1:]}"
    address = rules().address(path)
    return address.begins if address else "unknown"
