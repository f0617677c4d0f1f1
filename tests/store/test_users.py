"""Who may come in: passwords, roles, first-login links and sessions, and what of them is kept."""

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from clinic_mm.errors import InputError
from clinic_mm.store import ROLES, Store
from clinic_mm.store.sessions import IDLE, SHIFT
from clinic_mm.store.users import FREE_TRIES, INVITATION, Users, hashed
from tests.store.conftest import Clock

PHRASE = "correct horse battery"
WRONG = "correct horse batterz"


@pytest.fixture
def users(store: Store) -> Users:
    """With a light hash: what a real one costs is held once below."""
    store.users = Users(store.db, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    return store.users


def test_a_password_is_right_or_wrong_and_names_are_folded(users: Users) -> None:
    added = users.add("Élodie", ["reader", "viewer"], password=PHRASE)
    assert added.roles == ("viewer", "reader")
    assert users.check(" e\u0301LODIE ", PHRASE) == added
    assert users.check("élodie", WRONG) is None
    assert users.check("nobody", PHRASE) is None
    with pytest.raises(InputError, match="of that name"):
        users.add("ÉLODIE", [])


def test_passwords_are_kept_as_argon2id_and_no_token_is_kept(store: Store, tmp_path: Path) -> None:
    user = store.users.add("cy", ["reader"], password=PHRASE).id
    tokens = [store.sessions.open(user), store.users.invite(user)]
    (kept,) = sqlite3.connect(tmp_path / "room" / "store.sqlite").execute(
        "SELECT password FROM users WHERE id = ?", (user,)
    ).fetchone()  # fmt: skip
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    stored = b"".join(path.read_bytes() for path in (tmp_path / "room").rglob("*") if path.is_file())
    for secret in (PHRASE, *tokens):
        assert secret.encode() not in stored
    assert hashed(tokens[0]).encode() in stored


def test_who_is_unknown_takes_as_long_as_who_is_known(users: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str] = []
    monkeypatch.setattr(PasswordHasher, "verify", lambda self, kept, password: verified.append(kept) or False)
    users.check("nobody", PHRASE)
    users.check("ann", PHRASE)  # known, without a password
    assert len(verified) == 2
    assert all(kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$") for kept in verified)


def test_after_some_wrong_passwords_one_has_to_wait(users: Users, clock: Clock) -> None:
    users.add("cy", ["reader"], password=PHRASE)
    for _ in range(FREE_TRIES):
        assert users.check("cy", WRONG) is None
    assert users.check("cy", PHRASE) is None  # told as a wrong one is: nobody learns that there is a cy
    clock.later(minutes=15)
    assert users.check("cy", PHRASE) is not None
    assert users.check("cy", WRONG) is None  # the count began anew


def test_a_weak_hash_is_made_strong_when_its_user_comes_in(store: Store, users: Users) -> None:
    user = users.add("cy", ["reader"], password=PHRASE)
    strong = Users(store.db)
    assert strong.check("cy", PHRASE) == user
    assert strong.check("cy", PHRASE) == user
    assert store.audit.verify().whole


@pytest.mark.parametrize(
    ("name", "roles", "password"), [("", [], ""), ("a\nb", [], ""), ("a", ["boss"], ""), ("a", [], "short")]
)
def test_what_does_not_fit_is_refused(users: Users, name: str, roles: list[str], password: str) -> None:
    with pytest.raises(InputError):
        users.add(name, roles, password=password)  # type: ignore[arg-type]


def test_a_first_login_link_is_good_once_and_for_an_hour(users: Users, ann: str, clock: Clock) -> None:
    token = users.invite(ann)
    assert users.first_login("another") is None
    assert (users.first_login(token) or pytest.fail("lost")).id == ann
    assert users.first_login(token) is None
    late = users.invite(ann)
    clock.later(seconds=INVITATION.total_seconds())
    assert users.first_login(late) is None
    first, second = users.invite(ann), users.invite(ann)
    assert users.first_login(first) is None
    assert users.first_login(second) is not None


def test_a_session_ends_when_idle_after_a_shift_or_when_it_is_closed(store: Store, ann: str, clock: Clock) -> None:
    token = store.sessions.open(ann)
    assert len(token) >= 43
    end = clock.now + SHIFT
    while clock.later(seconds=IDLE.total_seconds() - 1) < end:
        assert store.sessions.user_of(token) is not None
    assert store.sessions.user_of(token) is None
    idle = store.sessions.open(ann)
    assert store.sessions.user_of(idle, clock.now + IDLE) is None
    store.sessions.close(idle)
    assert store.sessions.user_of(idle) is None
    short = store.sessions.open(ann, until=clock.now + timedelta(minutes=5))
    assert store.sessions.user_of(short, clock.now + timedelta(minutes=5)) is None


def test_roles_are_what_they_are_now_and_who_is_disabled_is_out_at_once(store: Store, ann: str, bo: str) -> None:
    token = store.sessions.open(ann)
    store.users.set_roles(ann, ROLES, by=bo)
    assert (store.sessions.user_of(token) or pytest.fail("lost")).roles == ROLES
    link = store.users.invite(ann)
    store.users.disable(ann, by=bo)
    assert store.sessions.user_of(token) is None
    assert store.users.first_login(link) is None
    with pytest.raises(InputError):
        store.sessions.open(ann)
    store.users.enable(ann, by=bo)
    assert store.sessions.user_of(token) is None  # he signs in again
    assert store.sessions.user_of(store.sessions.open(ann)) is not None


def test_a_new_password_signs_out_everywhere(store: Store, users: Users, ann: str) -> None:
    token = store.sessions.open(ann)
    users.set_password(ann, PHRASE, by=ann)
    assert store.sessions.user_of(token) is None
    assert users.check("ann", PHRASE) is not None
