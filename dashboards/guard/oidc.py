"""Signing in through an identity provider: by the routes of Streamlit's st.login, with what it leaves out.

In:  the way back from the provider, as Streamlit answered it. Out: a session of ours instead of Streamlit's cookie.

Streamlit (with Authlib) asks the provider, checks state, nonce, signature, issuer and audience of the token, and then
hands the browser a cookie that holds for 30 days whatever the token says. Here that cookie never reaches the browser.
Its claims are read once: `exp` must lie ahead and bounds the session; `iss` and `sub` name the person; the claim that
the site names gives the roles. Who has no role here does not come in. The provider's own tokens are thrown away.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message
from streamlit.auth_util import encode_provider_token, get_cookie_with_chunks
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import TOKENS_COOKIE_NAME, USER_COOKIE_NAME

from clinic_mm.site import Oidc
from clinic_mm.store.values import ROLES, Role
from guard import log, pages, room, sign_in

NOT_HERE: Final = "Your organisation knows you, but you have no role in this reading room. Ask its administrator."
FAILED: Final = "Signing in with your organisation did not work. Try again."


async def start(request: Request) -> Response:
    """On to the provider, as st.login would send the browser there."""
    return RedirectResponse(f"/auth/login?provider={encode_provider_token(room.opened().site.oidc.provider)}", 303)


async def exchange(app: ASGIApp, request: Request) -> Response:
    """What comes back from the provider becomes a session of ours, or the sign-in page again."""
    cookies = await _cookies_of(app, request)
    claims = claims_of(cookies)
    until = ends(claims, room.now())
    site = room.opened().site
    if until is None:
        return pages.answer(pages.sign_in(problem=FAILED, local="local" in site.sign_in.by, oidc=True), 401)
    roles = roles_of(claims, site.oidc)
    name, subject = str(claims.get(site.oidc.name_claim, "")), f"{claims.get('iss', '')} {claims.get('sub', '')}"
    if not roles or not name or not claims.get("iss") or not claims.get("sub"):
        log.trouble.info("a sign-in by the identity provider was refused: no role")
        return pages.answer(pages.sign_in(problem=NOT_HERE, local="local" in site.sign_in.by, oidc=True), 403)
    user = await sign_in.known(subject, name, roles)
    if user is None:
        return pages.answer(pages.sign_in(problem=NOT_HERE, local="local" in site.sign_in.by, oidc=True), 403)
    seconds = (until - room.now()).total_seconds()
    return await sign_in.entered(request, user, "/", seconds=seconds, follow=False)


def claims_of(cookies: Mapping[str, str]) -> dict[str, Any]:
    """The claims in the cookies that Streamlit would have set; none where there is no such cookie."""
    secret = get_cookie_secret()

    def one(name: str) -> bytes | None:
        value = cookies.get(name)
        return None if value is None else decode_signed_value(secret, name, value.encode("latin-1"))

    try:
        found = json.loads(get_cookie_with_chunks(one, USER_COOKIE_NAME) or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) and found.get("is_logged_in") is True else {}


def ends(claims: Mapping[str, Any], now: datetime) -> datetime | None:
    """When the provider's token expires (OpenID Connect Core 1.0, section 2: `exp` is required); None if it has."""
    seconds = claims.get("exp")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    try:
        until = datetime.fromtimestamp(seconds, now.tzinfo)
    except (OverflowError, OSError, ValueError):
        return None
    return until if until > now else None


def roles_of(claims: Mapping[str, Any], oidc: Oidc) -> tuple[Role, ...]:
    """Roles by what the provider says of the person; what the site does not name gives none."""
    said = claims.get(oidc.roles_claim, ())
    groups = [said] if isinstance(said, str) else [one for one in said if isinstance(one, str)] if said else []
    given = {role for group in groups for role in oidc.roles.get(group, ())}
    return tuple(role for role in ROLES if role in given)


async def _cookies_of(app: ASGIApp, request: Request) -> dict[str, str]:
    """Let Streamlit answer, and keep what it would have put into the browser."""
    found: dict[str, str] = {}

    async def kept(message: Message) -> None:
        for name, value in message.get("headers", ()):
            if name.lower() == b"set-cookie":
                found.update(_parsed(value.decode("latin-1")))

    await app(request.scope, request.receive, kept)
    return {name: value for name, value in found.items() if name.startswith((USER_COOKIE_NAME, TOKENS_COOKIE_NAME))}


def _parsed(header: str) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(header).items()}
    except CookieError:
        return {}


routes: Final = [Route("/sign-in/provider", start, methods=["GET"])]
