"""Signing in and out: the addresses that answer before somebody is known.

In:  a form of ours. Out: a cookie that scripts cannot read and other sites cannot send, or the form again.

    GET  POST  /sign-in            name and password
    GET  POST  /first-login        a token that is good once; a password is chosen
    POST       /sign-out
    GET        /session            204 while the session lasts; open pages ask it
"""

from functools import cache
from typing import Final
from urllib.parse import parse_qs, urlsplit

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from clinic_mm.errors import InputError
from clinic_mm.store.users import LONGEST, SHORTEST
from clinic_mm.store.values import Role
from guard import pages, room, session
from guard.belongings import belongings
from guard.rules import rules
from guard.tries import Tries

MOST_BYTES: Final = 16_384
"""Of a form."""
WRONG: Final = "Name or password is wrong."
WAIT: Final = "Too many wrong tries. Wait some minutes, then try again."
AT_ONCE: Final = CapacityLimiter(2)
"""Passwords that are checked at the same time: each takes tens of megabytes (argon2id)."""


async def sign_in(request: Request) -> Response:
    """The form, or what was written into it."""
    by = room.opened().site.sign_in.by
    form = await small_form(request) if request.method == "POST" else {}
    to = inside(form.get("to", "/"))
    if request.method != "POST":
        return pages.answer(pages.sign_in(to, local="local" in by, oidc="oidc" in by))
    if "local" not in by:
        return Response(status_code=404)
    name, password = form.get("name", ""), form.get("password", "")
    address = request.client.host if request.client else ""
    wait = tries().wait_s(address)
    if wait > 0:
        return pages.answer(pages.sign_in(to, WAIT, oidc="oidc" in by), 429, {"Retry-After": str(round(wait) + 1)})
    user = await to_thread.run_sync(_checked, name, password, limiter=AT_ONCE)
    if user is None:
        tries().wrong(address)
        return pages.answer(pages.sign_in(to, WRONG, oidc="oidc" in by), 401)
    return await entered(request, user, to)


async def first_login(request: Request) -> Response:
    """A one-time token becomes a session, and a password if it is no demo."""
    demo = room.opened().demo
    if request.method != "POST":
        return pages.answer(pages.first_login(demo=demo, shortest=SHORTEST))
    form = await small_form(request)
    address = request.client.host if request.client else ""
    problem, status = "", 401
    if tries().wait_s(address) > 0:
        problem, status = WAIT, 429
    elif not demo and not SHORTEST <= len(form.get("password", "")) <= LONGEST:
        problem = f"A password has {SHORTEST} to {LONGEST} characters. The link is still good."
    elif not demo and form.get("password") != form.get("again"):
        problem = "The two passwords differ. The link is still good."
    if not problem:
        user = await to_thread.run_sync(
            _invited, form.get("token", ""), "" if demo else form.get("password", ""), limiter=AT_ONCE
        )
        if user is not None:
            return await entered(request, user, "/")
        tries().wrong(address)
        problem = "This link is not good any more. Ask for another one."
    return pages.answer(pages.first_login(problem, demo=demo, shortest=SHORTEST), status)


async def sign_out(request: Request) -> Response:
    """End the session, here and in every other process."""
    name = room.opened().cookie
    await to_thread.run_sync(ended, request.cookies.get(name, ""))
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(name, httponly=True, samesite="strict")
    return response


async def lasts(request: Request) -> Response:
    """The door lets nobody come here whose session is over."""
    return Response(status_code=204)


async def entered(
    request: Request, user: str, to: str, *, seconds: float | None = None, follow: bool = True
) -> Response:
    """Open a session, and hand its token to the browser.

    Args:
        request: Of the one who enters; a session that he had is ended.
        user: Opaque id.
        to: A page of ours.
        seconds: How long at most, where something else sets a bound: the token of an identity provider.
        follow: By a redirect; else by a page that asks from here, for one who comes from another site.
    """
    here = room.opened()
    await to_thread.run_sync(ended, request.cookies.get(here.cookie, ""))
    token = await to_thread.run_sync(lambda: session.begin(user, seconds))
    response: Response = RedirectResponse(to, 303) if follow else pages.answer(pages.onward(to))
    secure = here.site.proxy.https or request.url.scheme == "https"
    response.set_cookie(here.cookie, token, path="/", httponly=True, samesite="strict", secure=secure)
    return response


def ended(token: str) -> None:
    """End a session, if there was one, and forget what was sent to it."""
    if token and token.isascii() and len(token) <= session.LONGEST:
        session.close(token)
        belongings.forget(session.key_of(token))


def inside(to: str) -> str:
    """A page of ours to go to, or home: never another site."""
    parts = urlsplit(to)
    ours = not parts.scheme and not parts.netloc and not to.startswith(("//", "/\\"))
    known = parts.path == "/" or rules().page(parts.path) is not None
    return to if ours and known and to.isprintable() and len(to) < 500 else "/"


async def small_form(request: Request) -> dict[str, str]:
    """The fields of a form of ours; nothing of one that is larger, or no form."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            return {}
    try:
        fields = parse_qs(body.decode("utf-8"), max_num_fields=20, keep_blank_values=True)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


@cache
def tries() -> Tries:
    """Of this process; with several, an address has that many times the tries."""
    bounds = room.opened().site.sign_in
    return Tries(bounds.tries, 60 * bounds.wait_minutes)


async def known(subject: str, name: str, roles: tuple[Role, ...]) -> str | None:
    """The user whom an identity provider vouches for, with the roles it gives him now; None if he was disabled."""
    return await to_thread.run_sync(_vouched, subject, name, roles)


def _vouched(subject: str, name: str, roles: tuple[Role, ...]) -> str | None:
    users = room.opened().store.users
    found = users.by_subject(subject)
    if found is None:
        try:
            return users.add(name, roles, subject=subject, now=room.now()).id
        except InputError:  # a local user has that name: he is somebody else until proven otherwise
            return None
    if found.disabled:
        return None
    if found.roles != roles:
        users.set_roles(found.id, roles, by=found.id, now=room.now())
    return found.id


def _checked(name: str, password: str) -> str | None:
    try:
        user = room.opened().store.users.check(name, password, room.now())
    except InputError:  # no name at all
        return None
    return None if user is None else user.id


def _invited(token: str, password: str) -> str | None:
    users = room.opened().store.users
    user = users.first_login(token, room.now())
    if user is None:
        return None
    if password:
        users.set_password(user.id, password, by=user.id, now=room.now())
    return user.id


routes: Final = [
    Route("/sign-in", sign_in, methods=["GET", "POST"]),
    Route("/first-login", first_login, methods=["GET", "POST"]),
    Route("/sign-out", sign_out, methods=["POST"]),
    Route("/session", lasts, methods=["GET"]),
]
