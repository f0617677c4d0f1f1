"""The door before a server that would answer everything: what it lets through is what the table says."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from clinic_mm.store.values import ROLES
from tests.serving import a_session
from tests.signed_in import signed_in

ADDRESS = "http://127.0.0.1"
SECRET = "what is behind the door"  # noqa: S105 - of a test
STREAM = "ws://127.0.0.1/_stcore/stream"
OURS = {"Origin": ADDRESS}
PATHS = [
    "/", "/case", "/about", "/users", "/glass", "/media/0123456789abcdef0123.png", "/static/js/x.js", "/favicon.png",
    "/component/x/index.html", "/_stcore/bidi-components/x.js", "/_stcore/health", "/_stcore/host-config", "/session",
    "/_stcore/metrics", "/_stcore/upload_file/a/b", "/_stcore/agent/openapi.json", "/v1/case/k/ct/s/0", "/app/static/x",
    "/index.html", "/..", "/%2e%2e/etc/passwd", "/_stcore/script-health-check", "/sign-out", "/manifest.json",
]  # fmt: skip
Enter = Callable[..., TestClient]


@pytest.fixture(scope="module")
def enter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enter]:
    """A client of the door, as a person with these roles, or as nobody."""
    home = tmp_path_factory.mktemp("door") / "room"
    with pytest.MonkeyPatch.context() as monkeypatch, signed_in(monkeypatch, home):
        from guard import room
        from guard.door import Door

        async def anything(request: Any) -> PlainTextResponse:  # noqa: ANN401
            return PlainTextResponse(SECRET, headers={"Server": "x", "Access-Control-Allow-Origin": "*"})

        async def stream(socket: WebSocket) -> None:
            await socket.accept(subprotocol="streamlit")
            await socket.send_bytes(named("a-session", "/media/" + "ab" * 28 + ".png"))
            with suppress(WebSocketDisconnect):
                while True:
                    await socket.send_bytes(b"echo " + await socket.receive_bytes())

        every = ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]
        behind = Starlette(
            routes=[WebSocketRoute("/{path:path}", stream), Route("/{path:path}", anything, methods=every)],
            middleware=[Middleware(Door)],
        )

        def as_person(*roles: str) -> TestClient:
            token = a_session(home, "-".join(roles), roles) if roles else ""  # type: ignore[arg-type]
            cookies = {room.opened().cookie: token} if token else {}
            return TestClient(behind, base_url=ADDRESS, cookies=cookies, follow_redirects=False)

        yield as_person


def named(session_id: str, *texts: str) -> bytes:
    """What Streamlit sends first, with further texts in it."""
    message = ForwardMsg()
    message.new_session.initialize.session_id = session_id
    message.new_session.name = " ".join(texts)
    return message.SerializeToString()


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD"])
def test_nobody_gets_anything(enter: Enter, method: str) -> None:
    for path in PATHS:
        answer = enter().request(method, path, headers={"Accept": "text/html", **OURS})
        assert answer.status_code in {401, 403}, path
        assert SECRET not in answer.text


@pytest.mark.parametrize("token", ["", "x", "ü", "A" * 43, "A" * 5000, "' or 1=1 --"])
def test_a_token_that_is_none_opens_nothing(enter: Enter, token: str) -> None:
    from guard import room

    header = f"{room.opened().cookie}={token}".encode()
    assert enter().get("/about", headers={b"Cookie": header}).status_code == 401


@pytest.mark.parametrize("role", ROLES)
def test_a_role_opens_its_pages_and_no_other(enter: Enter, role: str) -> None:
    from guard.rules import rules

    client, his = enter(role), frozenset({role})
    for page in rules().pages[1:]:
        allowed = rules().allow(his, page.act)
        answer = client.get(f"/{page.path}", headers={"Accept": "text/html"})
        home = next(one for one in rules().pages if rules().allow(his, one.act))
        assert answer.status_code == (303 if page is home else 200 if allowed else 403), page.path
        assert (SECRET in answer.text) == (allowed and page is not home)
    assert (client.get("/_stcore/metrics").status_code == 200) == (role == "admin")


@pytest.mark.parametrize("path", ["/_stcore/agent/interact", "/index.html", "/app/static/x", "/nothing", "/%2e%2e/x"])
def test_what_the_table_does_not_know_is_not_there_for_anyone(enter: Enter, path: str) -> None:
    assert enter(*ROLES).get(path).status_code == 404


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "", "localhost:x"]
)
def test_another_name_for_this_server_is_refused(enter: Enter, host: str) -> None:
    assert enter("viewer").get("/", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:81", "https://127.0.0.1.evil.example"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_site_reads_and_changes_nothing(enter: Enter, origin: str, method: str) -> None:
    assert enter(*ROLES).request(method, "/session", headers={"Origin": origin}).status_code == 403


def test_a_change_without_an_origin_is_refused(enter: Enter) -> None:
    client = enter(*ROLES)
    assert client.post("/sign-out").status_code == 403
    assert client.post("/sign-out", headers={"Origin": ADDRESS, "Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.post("/sign-out", headers={"Origin": ADDRESS}).status_code == 200


def test_a_link_of_another_site_is_asked_again_from_here(enter: Enter) -> None:
    cross = {"Accept": "text/html", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    answer = enter().get("/case?case=k", headers=cross)
    assert 'http-equiv="refresh"' in answer.text
    assert SECRET not in answer.text


def test_every_answer_is_hardened(enter: Enter) -> None:
    for client, path in ((enter(), "/"), (enter("viewer"), "/"), (enter("viewer"), "/nothing")):
        headers = client.get(path).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "http" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "private, no-store"
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers


def test_media_is_for_him_to_whom_a_page_showed_it(enter: Enter) -> None:
    one, other = enter("viewer"), enter("viewer", "reader")
    path = "/media/" + "ab" * 28 + ".png"
    assert one.get(path).status_code == 403
    with one.websocket_connect(STREAM, headers=OURS) as socket:
        socket.receive_bytes()
        assert one.get(path).text == SECRET
        assert one.put("/_stcore/upload_file/a-session/f", headers={"Origin": ADDRESS}).status_code == 200
    assert other.get(path).status_code == 403
    assert other.put("/_stcore/upload_file/a-session/f", headers={"Origin": ADDRESS}).status_code == 403


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://evil.example"}, {"Origin": "null"}])
def test_a_websocket_opens_only_from_our_own_pages(enter: Enter, headers: dict[str, str]) -> None:
    with pytest.raises(WebSocketDisconnect), enter(*ROLES).websocket_connect(STREAM, headers=headers):
        pass


@pytest.mark.parametrize("path", ["/_stcore/stream", "/", "/v1/x", "/_stcore/agent/mcp"])
def test_nobody_opens_a_websocket_and_nobody_one_elsewhere(enter: Enter, path: str) -> None:
    clients = [enter()] if path == "/_stcore/stream" else [enter(), enter(*ROLES)]
    for client in clients:
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("ws://127.0.0.1" + path, headers=OURS):
            pass


def test_media_are_known_whatever_stands_behind_them_in_a_frame(enter: Enter) -> None:
    from guard.belongings import Belongings

    held, digest = Belongings(), "0123456789abcdef" * 2
    held.note("one", b"\x12\x30/media/" + digest.encode() + b".html2\x05label")
    held.note("two", b"\x12\x27/media/" + digest.encode() + b"2\x05label")
    assert held.owns_media("one", digest + ".html")
    assert held.owns_media("two", digest)
    assert not held.owns_media("one", digest[:-1])
    assert not held.owns_media("one", digest + "2")


def test_a_page_of_another_person_cannot_be_taken_up_again(enter: Enter) -> None:
    from guard.belongings import belongings
    from guard.wire import _own_session_only

    belongings.note_id("one", named("his-page"))
    asked = [(b"sec-websocket-protocol", b"streamlit, 2|x|y|1, his-page")]
    assert _own_session_only(asked, "one") == asked
    assert _own_session_only(asked, "other") == [(b"sec-websocket-protocol", b"streamlit, 2|x|y|1")]


def test_an_open_page_falls_silent_when_its_session_is_over(enter: Enter) -> None:
    from guard import room, session

    client = enter("viewer")
    with client.websocket_connect(STREAM, headers=OURS) as socket:
        socket.receive_bytes()
        socket.send_bytes(b"one")
        assert socket.receive_bytes() == b"echo one"
        session.close(client.cookies[room.opened().cookie])
        socket.send_bytes(b"two")
        with pytest.raises(WebSocketDisconnect):
            socket.receive_bytes()


def test_the_log_names_nothing_that_was_asked_for(enter: Enter, caplog: pytest.LogCaptureFixture) -> None:
    from guard import log

    log.access.propagate = True
    with caplog.at_level("INFO", logger="clinic_mm.access"):
        client = enter("viewer")
        client.get("/case?case=DOE%5EJANE&name=DOE", headers={"Referer": ADDRESS + "/DOE"})
        client.get("/v1/case/DOE/ct/DOE/0")
        client.get("/DOE")
    assert len(caplog.records) == 3
    assert "DOE" not in caplog.text
    assert "viewer" not in caplog.text
