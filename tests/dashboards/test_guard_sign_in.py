"""Signing in and out, first login, sessions that end, the glass: on the real store, through the door."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from clinic_mm.store.values import User
from tests.serving import PASSWORD
from tests.signed_in import signed_in

ADDRESS = "http://127.0.0.1"
OURS = {"Origin": ADDRESS}
SIGN_IN, OUT = "/sign-in", "/sign-out"


@pytest.fixture(scope="module")
def _room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    home = tmp_path_factory.mktemp("sign_in") / "room"
    with pytest.MonkeyPatch.context() as monkeypatch, signed_in(monkeypatch, home):
        yield


@pytest.fixture
def client(_room: None, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    from guard import sign_in
    from guard.door import Door

    sign_in.tries.cache_clear()
    app = Starlette(routes=list(sign_in.routes), middleware=[Middleware(Door)])
    return TestClient(app, base_url=ADDRESS, follow_redirects=False)


@pytest.fixture
def user(_room: None) -> Callable[[str], User]:
    from guard import room

    def made(name: str) -> User:
        users = room.opened().store.users
        return users.by_name(name) or users.add(name, ["reader"], password=PASSWORD)

    return made


def enter(client: TestClient, name: str, password: str = PASSWORD, to: str = "/") -> int:
    return client.post(SIGN_IN, data={"name": name, "password": password, "to": to}, headers=OURS).status_code


def test_the_cookie_is_for_this_site_alone_and_for_no_script(client: TestClient, user: Callable[[str], User]) -> None:
    user("anna")
    answer = client.post(SIGN_IN, data={"name": "Anna", "password": PASSWORD}, headers=OURS)
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/" in cookie
    assert client.get("/session").status_code == 204


@pytest.mark.parametrize("forwarded", ["https"])
def test_the_cookie_is_secure_where_the_browser_speaks_https(
    client: TestClient, user: Callable[[str], User], forwarded: str
) -> None:
    user("anna")
    secure = TestClient(client.app, base_url=f"{forwarded}://127.0.0.1", follow_redirects=False)
    answer = secure.post(SIGN_IN, data={"name": "anna", "password": PASSWORD}, headers={"Origin": "https://127.0.0.1"})
    assert "Secure" in answer.headers["set-cookie"]
    assert "strict-transport-security" in answer.headers


@pytest.mark.parametrize("name", ["anna", "nobody", "", "x" * 9999, "a\0b"])
def test_a_wrong_name_and_a_wrong_password_are_answered_alike(
    client: TestClient, user: Callable[[str], User], name: str
) -> None:
    user("anna")
    answer = client.post(SIGN_IN, data={"name": name, "password": "wrong"}, headers=OURS)
    assert answer.status_code == 401
    assert "Name or password is wrong." in answer.text
    assert "set-cookie" not in answer.headers


def test_what_was_typed_is_not_sent_back_as_markup(client: TestClient) -> None:
    to = '/case?case="><script>alert(1)</script>'
    answer = client.post(SIGN_IN, data={"name": "<script>x</script>", "password": "y", "to": to}, headers=OURS)
    assert "<script" not in answer.text
    assert "script-src 'sha256-" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "to",
    ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "/nothing", "/v1/x", "x"],
)
def test_nobody_is_led_elsewhere_after_signing_in(client: TestClient, user: Callable[[str], User], to: str) -> None:
    user("anna")
    answer = client.post(SIGN_IN, data={"name": "anna", "password": PASSWORD, "to": to}, headers=OURS)
    assert answer.headers["location"] == "/"


def test_a_deep_link_is_followed_after_signing_in(client: TestClient, user: Callable[[str], User]) -> None:
    user("anna")
    answer = client.post(SIGN_IN, data={"name": "anna", "password": PASSWORD, "to": "/case?case=k1"}, headers=OURS)
    assert answer.headers["location"] == "/case?case=k1"


def test_an_address_that_tried_too_often_has_to_wait(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from guard import sign_in
    from guard.tries import Tries

    tries = Tries(3, 60)
    monkeypatch.setattr(sign_in, "tries", lambda: tries)
    assert [enter(client, f"nobody {at}", "wrong") for at in range(4)] == [401, 401, 401, 429]
    answer = client.post("/first-login", data={"token": "x", "password": PASSWORD, "again": PASSWORD}, headers=OURS)
    assert answer.status_code == 429


def test_wrong_tries_are_forgotten_after_a_while() -> None:
    from guard.tries import Tries

    tries = Tries(2, 60)
    for at in (0.0, 10.0):
        tries.wrong("a", at)
    assert tries.wait_s("a", 20.0) == pytest.approx(40)
    assert tries.wait_s("b", 20.0) == 0
    assert tries.wait_s("a", 61.0) == 0


def test_a_name_that_was_tried_too_often_has_to_wait_and_nobody_is_told(
    client: TestClient, user: Callable[[str], User], monkeypatch: pytest.MonkeyPatch
) -> None:
    from guard import room

    user("locked")
    stands = room.now()
    monkeypatch.setattr(room, "now", lambda: stands)
    for _ in range(6):
        enter(client, "locked", "wrong")
    assert enter(client, "locked") == 401
    monkeypatch.setattr(room, "now", lambda: stands + timedelta(minutes=16))
    assert enter(client, "locked") == 303


def test_a_form_that_is_too_large_is_not_read(client: TestClient) -> None:
    assert enter(client, "x" * 20_000, "y") == 401


def test_signing_out_ends_the_session_for_good(client: TestClient, user: Callable[[str], User]) -> None:
    from guard import room

    user("anna")
    enter(client, "anna")
    token = client.cookies[room.opened().cookie]
    assert client.post(OUT, headers=OURS).status_code == 303
    client.cookies.set(room.opened().cookie, token, domain="127.0.0.1")
    assert client.get("/session").status_code == 401


def test_signing_in_again_ends_the_session_before(client: TestClient, user: Callable[[str], User]) -> None:
    from guard import room, session

    user("anna")
    enter(client, "anna")
    before = client.cookies[room.opened().cookie]
    enter(client, "anna")
    assert session.person_of(before) is None


def test_a_first_login_link_is_good_once(client: TestClient, user: Callable[[str], User]) -> None:
    from guard import room

    newcomer = room.opened().store.users.add("newcomer", ["viewer"])
    token = room.opened().store.users.invite(newcomer.id)
    fields = {"token": token, "password": "short", "again": "short"}
    assert "still good" in client.post("/first-login", data=fields, headers=OURS).text
    fields |= {"password": PASSWORD, "again": PASSWORD + "x"}
    assert "differ" in client.post("/first-login", data=fields, headers=OURS).text
    fields |= {"again": PASSWORD}
    assert client.post("/first-login", data=fields, headers=OURS).status_code == 303
    assert client.post("/first-login", data=fields, headers=OURS).status_code == 401
    assert enter(client, "newcomer") == 303


def test_a_link_never_stands_in_an_address(client: TestClient) -> None:
    page = client.get("/first-login").text
    assert "location.hash" in page
    assert 'method="post"' in page


def test_a_session_ends_when_nothing_is_done_and_polling_does_not_keep_it(
    client: TestClient, user: Callable[[str], User], monkeypatch: pytest.MonkeyPatch
) -> None:
    from guard import room, session

    begins = room.now()
    token = session.begin(user("anna").id)
    for minutes, use, there in ((1, True, True), (25, True, True), (50, False, True), (56, False, False)):
        monkeypatch.setattr(room, "now", lambda at=begins + timedelta(minutes=minutes): at)
        assert (session.person_of(token, use=use) is not None) == there, minutes


def test_a_session_ends_at_the_latest_when_the_site_says(
    client: TestClient, user: Callable[[str], User], monkeypatch: pytest.MonkeyPatch
) -> None:
    from guard import room, session

    begins = room.now()
    token = session.begin(user("anna").id, seconds=90)
    for seconds, there in ((89, True), (91, False)):
        monkeypatch.setattr(room, "now", lambda at=begins + timedelta(seconds=seconds): at)
        assert (session.person_of(token, use=True) is not None) == there


def test_who_is_disabled_is_out_at_once_and_roles_change_at_once(
    client: TestClient, user: Callable[[str], User]
) -> None:
    from guard import room, session

    found, users = user("changing"), room.opened().store.users
    token = session.begin(found.id)
    users.set_roles(found.id, ["viewer"], by=found.id)
    person = session.person_of(token)
    assert person is not None
    assert not person.may("decide")
    assert person.may("see_case")
    users.disable(found.id, by=found.id)
    assert session.person_of(token) is None


def test_the_name_of_a_person_is_not_printed_by_mistake(client: TestClient, user: Callable[[str], User]) -> None:
    from guard import session

    assert "anna" not in repr(session.person_of(session.begin(user("anna").id)))
