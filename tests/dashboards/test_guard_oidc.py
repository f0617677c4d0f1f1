"""Signing in through an identity provider on loopback: Streamlit and Authlib ask it, and our door exchanges.

The provider signs real tokens (RS256), so that what is checked is what a site would have: `exp`, roles, the cookie.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.testclient import TestClient
from streamlit import config
from streamlit.runtime.secrets import secrets_singleton
from streamlit.web.server.starlette.starlette_auth_routes import create_auth_routes

from tests.signed_in import signed_in

ADDRESS = "http://127.0.0.1"
SITE = """
[sign_in]
by = ["oidc"]
[oidc.roles]
"radiology-readers" = ["reader"]
"radiology-heads" = ["signer", "reader"]
"""
SECRETS = """
[auth]
redirect_uri = "http://127.0.0.1/oauth2callback"
client_id = "room"
client_secret = "not a secret"
server_metadata_url = "{address}/.well-known/openid-configuration"
"""


@dataclass
class Provider:
    """What the identity provider says of whoever signs in."""

    address: str = ""
    claims: dict[str, object] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, auto_kid=True))
    nonces: dict[str, str] = field(default_factory=dict)

    def answer(self, path: str, query: dict[str, list[str]]) -> dict[str, object]:
        """Metadata, keys, or a token for a code."""
        if path.endswith("openid-configuration"):
            return {
                "issuer": self.address,
                "authorization_endpoint": f"{self.address}/authorize",
                "token_endpoint": f"{self.address}/token",
                "jwks_uri": f"{self.address}/keys",
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
            }
        if path == "/keys":
            return {"keys": [self.key.as_dict(private=False)]}
        now = int(time.time())
        claims = {"iss": self.address, "aud": "room", "iat": now, "exp": now + 600, "sub": "s-1", **self.claims}
        claims |= {"nonce": self.nonces[query["code"][0]]}
        token = jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)
        return {"access_token": "at", "token_type": "Bearer", "id_token": token, "expires_in": 600}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    found = Provider()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say({})

        def do_POST(self) -> None:
            self._say(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))

        def _say(self, query: dict[str, list[str]]) -> None:
            body = json.dumps(found.answer(urlsplit(self.path).path, query)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    found.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: Provider) -> Iterator[TestClient]:
    """Streamlit's routes of st.login behind our door."""
    home, provider.claims = tmp_path / "room", {}
    with signed_in(monkeypatch, home):
        (tmp_path / "dashboard.toml").write_text(SITE, encoding="utf-8")
        monkeypatch.setenv("CLINIC_MM_SITE", str(tmp_path / "dashboard.toml"))
        secrets = home / "secrets.toml"
        secrets.write_text(SECRETS.format(address=provider.address), encoding="utf-8")
        secrets_singleton._reset()
        options = {"secrets.files": [str(secrets)], "server.cookieSecret": "k" * 64}
        config.get_config_options(force_reparse=True, options_from_flags=options)
        from guard import oidc, sign_in
        from guard.door import Door

        routes = [*create_auth_routes(""), *sign_in.routes, *oidc.routes]
        middleware = [Middleware(Door), Middleware(SessionMiddleware, secret_key="s" * 64)]
        yield TestClient(Starlette(routes=routes, middleware=middleware), base_url=ADDRESS, follow_redirects=False)
        config.get_config_options(force_reparse=True)
        secrets_singleton._reset()


@pytest.fixture
def come(client: TestClient, provider: Provider) -> Callable[..., TestClient]:
    """Go to the provider and back, with these claims."""

    def came(**claims: object) -> object:
        provider.claims = {"preferred_username": "Jo", "groups": ["radiology-readers"], **claims}
        to_streamlit = client.get("/sign-in/provider").headers["location"]
        to_provider = client.get(to_streamlit).headers["location"]
        asked = {name: values[0] for name, values in parse_qs(urlsplit(to_provider).query).items()}
        assert asked["code_challenge_method"] == "S256"
        provider.nonces["c"] = asked["nonce"]
        return client.get("/oauth2callback?" + urlencode({"code": "c", "state": asked["state"]}))

    return came


def person(client: TestClient) -> object:
    from guard import room, session

    return session.person_of(client.cookies.get(room.opened().cookie))


def test_a_person_comes_in_with_the_roles_of_his_groups(client: TestClient, come: Callable[..., object]) -> None:
    answer = come()
    assert answer.status_code == 200
    assert "url=/" in answer.text
    found = person(client)
    assert found.roles == {"reader"}
    assert found.name == "jo"
    come(groups=["radiology-heads", "x"])
    assert person(client).roles == {"reader", "signer"}
    assert person(client).user == found.user


def test_streamlits_own_cookie_never_reaches_the_browser(client: TestClient, come: Callable[..., object]) -> None:
    answer = come()
    assert "_streamlit_user" not in str(answer.headers)
    assert not [name for name in client.cookies if name.startswith("_streamlit_user")]


def test_the_session_ends_when_the_token_expires(
    client: TestClient, come: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import timedelta

    from guard import room

    come(exp=int(time.time()) + 120)
    begins = room.now()
    assert person(client) is not None
    monkeypatch.setattr(room, "now", lambda: begins + timedelta(seconds=125))
    assert person(client) is None


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1_000_000_000},
        {"exp": None},
        {"exp": "never"},
        {"groups": []},
        {"groups": ["another-ward"]},
        {"groups": None},
        {"groups": [["radiology-readers"]]},
        {"preferred_username": ""},
        {"aud": "another application"},
        {"iss": "http://127.0.0.1:1/another"},
        {"sub": ""},
    ],
    ids=lambda claims: "-".join(f"{name}={str(value)[:12]}" for name, value in claims.items()),
)
def test_who_should_not_come_in_does_not(
    client: TestClient, come: Callable[..., object], claims: dict[str, object]
) -> None:
    answer = come(**claims)
    assert answer.status_code in {401, 403}
    assert person(client) is None
    assert "_streamlit_user" not in str(answer.headers)


def test_a_token_of_another_key_is_refused(
    client: TestClient, come: Callable[..., object], provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = provider.key
    other = RSAKey.generate_key(2048, {"kid": true.kid})
    says = provider.answer

    def forged(path: str, query: dict[str, list[str]]) -> dict[str, object]:
        provider.key = true if path == "/keys" else other
        return says(path, query)

    monkeypatch.setattr(provider, "answer", forged)
    answer = come()
    provider.key = true
    assert answer.status_code == 401
    assert person(client) is None


def test_the_same_answer_is_good_once(client: TestClient, come: Callable[..., object], provider: Provider) -> None:
    come()
    state = "made-up"
    client.cookies.clear()
    assert client.get(f"/oauth2callback?code=c&state={state}").status_code == 401


def test_the_name_of_a_local_user_is_not_taken_over(client: TestClient, come: Callable[..., object]) -> None:
    from guard import room

    room.opened().store.users.add("Jo", ["admin"])
    assert come().status_code == 403
    assert person(client) is None


def test_a_disabled_person_stays_out_whatever_the_provider_says(
    client: TestClient, come: Callable[..., object]
) -> None:
    from guard import room

    come()
    user = person(client).user
    room.opened().store.users.disable(user, by=user)
    assert come().status_code == 403
    assert person(client) is None


def test_passwords_open_nothing_where_the_site_has_none(client: TestClient) -> None:
    answer = client.post("/sign-in", data={"name": "Jo", "password": "x"}, headers={"Origin": ADDRESS})
    assert answer.status_code == 404
    assert 'name="password"' not in client.get("/sign-in").text
