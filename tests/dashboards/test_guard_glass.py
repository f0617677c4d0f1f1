"""Closed cases and masks: who sees them, who breaks the glass, what is left of it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from clinic_mm.bundle import folder
from clinic_mm.errors import ClinicError, UsageError
from clinic_mm.report.run import open_run
from tests.signed_in import signed_in

REASON = "Night, the patient is in the resuscitation room"


@pytest.fixture
def closed(made_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A case that is closed, in a room with a person of all roles."""
    key = next(key for key in open_run(made_run).worklist()["case_key"] if key != "stranger")
    (tmp_path / "closed.txt").write_text(f"# colleagues\n{key}  # one of us\n", encoding="utf-8")
    (tmp_path / "dashboard.toml").write_text('glass = { closed_cases = "closed.txt" }', encoding="utf-8")
    with signed_in(monkeypatch, tmp_path / "room", made_run):
        monkeypatch.setenv("CLINIC_MM_SITE", str(tmp_path / "dashboard.toml"))
        yield key


def person(*roles: str) -> object:
    """The signed-in person, with these roles."""
    from dataclasses import replace

    from guard import asking, session

    return replace(session.person_of(asking.token()), roles=frozenset(roles))


def test_a_closed_case_opens_to_those_who_broke_the_glass_and_for_four_hours(
    closed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guard import may, room
    from guard.glass import break_it

    reader = person("reader")
    assert not may(reader, "see_case", closed)
    assert not may(reader, "see_evidence", closed)
    assert may(reader, "see_case", "stranger")
    break_it(reader, closed, REASON)
    assert may(reader, "see_case", closed)
    assert not may(reader, "sign", closed)
    assert not may(person("admin", "scientist"), "see_case", closed)
    later = room.now() + timedelta(hours=4, seconds=1)
    monkeypatch.setattr(room, "now", lambda: later)
    assert not may(reader, "see_case", closed)


def test_breaking_it_is_in_the_audit_with_who_and_which_case(closed: str) -> None:
    from guard import room
    from guard.glass import break_it

    reader = person("reader")
    break_it(reader, closed, REASON)
    entry = room.opened().store.audit.entries()[0]
    assert (entry.act, entry.actor, entry.case_key) == ("break_glass", reader.user, closed)


@pytest.mark.parametrize("reason", ["", "urgent", "  a     b  " * 3, "x" * 501])
def test_without_a_reason_that_says_something_it_holds(closed: str, reason: str) -> None:
    from guard import may
    from guard.glass import break_it

    with pytest.raises(UsageError, match="characters"):
        break_it(person("reader"), closed, reason)
    assert not may(person("reader"), "see_case", closed)


@pytest.mark.parametrize("roles", [(), ("viewer",), ("admin",), ("scientist",)])
def test_others_cannot_break_it(closed: str, roles: tuple[str, ...]) -> None:
    from guard.glass import break_it

    with pytest.raises(ClinicError):
        break_it(person(*roles), closed, REASON)


def test_identifiers_are_masked_until_the_glass_of_that_case_is_broken(closed: str) -> None:
    from guard import masked
    from guard.glass import break_it

    reader = person("reader")
    assert masked(reader, "DOE", "stranger") == "•••"
    break_it(reader, "stranger", REASON)
    assert masked(reader, "DOE", "stranger") == "DOE"
    assert masked(reader, "DOE", closed) == "•••"
    assert masked(person("viewer"), "DOE", "stranger") == "•••"


def test_the_page_of_a_closed_case_shows_nothing_of_it(closed: str) -> None:
    test = AppTest.from_file(str(folder("dashboards") / "app.py"), default_timeout=60)
    test.query_params["case"] = closed
    test.switch_page("views/case.py")
    test.run()
    assert "closed" in test.error[0].value
    assert not test.metric
    assert not test.header
