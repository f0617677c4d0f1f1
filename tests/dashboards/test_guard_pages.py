"""The pages of the guard: users, the way out, and what is left of a page when the session is over."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from clinic_mm.bundle import folder
from tests.dashboards.conftest import Page
from tests.signed_in import signed_in


@pytest.fixture
def admin(made_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """Pages as an administrator, and nothing else, sees them."""

    def opened(view: str) -> AppTest:
        test = AppTest.from_file(str(folder("dashboards") / "app.py"), default_timeout=120)
        test.switch_page(f"views/{view}.py")
        return test.run()

    with signed_in(monkeypatch, tmp_path / "room", made_run, ["admin"]):
        yield opened


def test_an_administrator_adds_a_user_and_hands_over_a_link_that_is_shown_once(admin: Page) -> None:
    from guard import room

    test = admin("users")
    test.text_input[0].set_value("Newcomer")
    next(box for box in test.checkbox if box.key == "add-reader").check()
    next(button for button in test.button if button.label.startswith("Add")).click().run()
    token = re.search(r"/first-login#([\w-]{40,})", test.code[0].value)
    assert token
    assert not test.run().code
    user = room.opened().store.users.by_name("newcomer")
    assert user.roles == ("reader",)
    assert room.opened().store.users.first_login(token[1]).id == user.id


def test_an_administrator_cannot_shut_himself_out(admin: Page) -> None:
    from guard import room

    test = admin("users")
    (user,) = room.opened().store.users.all()
    next(box for box in test.checkbox if box.key == f"{user.id}-admin").uncheck()
    next(button for button in test.button if button.label == "Save").click().run()
    assert "shut yourself out" in test.warning[-1].value
    assert room.opened().store.users.all()[0].roles == ("admin",)


def test_signing_out_leaves_nothing_on_the_page(admin: Page) -> None:
    test = admin("users")
    next(button for button in test.button if button.key == "sign-out").click().run()
    assert "session has ended" in test.warning[0].value
    assert not test.dataframe
    assert not test.header
