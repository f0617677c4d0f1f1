"""A case is read: begun, judged before the answer opens, decided, signed, amended; by two at once; by who may not."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from clinic_mm.bundle import folder
from clinic_mm.store.store import Store
from clinic_mm.store.values import ROLES, Role, User
from tests.dashboards.listed import listed
from tests.dashboards.test_pages import answered, texts
from tests.dashboards.test_silence import sent
from tests.report.silent import leaked
from tests.signed_in import NAME, signed_in

Opened = Callable[..., AppTest]


class Room:
    """A fresh reading room, whose person sits at the screen; `bo` works elsewhere, by the store."""

    def __init__(self, run: Path) -> None:
        from guard import room

        self.run, self.found = run, answered(run)
        self.key = self.found.case_key
        self.store: Store = room.opened().store
        me = self.store.users.by_name(NAME)
        assert me is not None
        self.me: User = me
        self.bo = self.store.users.add("Bo", ["reader", "signer"])

    def page(self, view: str = "case", **query: str) -> AppTest:
        test = AppTest.from_file(str(folder("dashboards") / "app.py"), default_timeout=240)
        for name, value in (query or ({"case": self.key} if view == "case" else {})).items():
            test.query_params[name] = value
        if view != "worklist":
            test.switch_page(f"views/{view}.py")
        return calm(test.run())


@pytest.fixture
def enter(made_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Room]]:
    with ExitStack() as stack:

        def entered(roles: Iterable[Role] = ROLES) -> Room:
            stack.enter_context(signed_in(monkeypatch, tmp_path / "home", made_run, roles))
            return Room(made_run)

        yield entered


def calm(test: AppTest) -> AppTest:
    assert not test.exception
    return test


def press(test: AppTest, label: str) -> AppTest:
    return calm(next(b for b in test.button if b.label.replace("\\", "").startswith(label)).click().run())


def choose(test: AppTest, label: str, value: str) -> None:
    next(r for r in test.radio if r.label == label).set_value(value)


def opinion(test: AppTest, verdict: str) -> AppTest:
    choose(test, "It is", verdict)
    choose(test, "How sure are you?", "Sure")
    return press(test, "Commit my opinion")


def labels(test: AppTest) -> list[str]:
    return [button.label for button in test.button]


def test_the_answer_is_in_no_page_before_the_opinion_and_in_it_afterwards(enter: Callable[..., Room]) -> None:
    room = enter()
    row = listed(room.page("worklist")).set_index("Case").loc[room.key]
    assert row["Answer"] == "Sealed"
    assert leaked(room.found, row.to_csv()) == []
    test = room.page()
    for step in ("", "Begin to read"):
        if step:
            test = press(test, step)
        shown = sent(test)
        assert leaked(room.found, shown) == []
        assert room.found.content_hash[:16] not in shown
        assert not test.metric
        assert "The answer is sealed" in texts(test)
        assert "##### CT" in texts(test)
    other = next(name for name in room.found.classes if name != room.found.decision)
    test = opinion(test, other)
    assert leaked(room.found, sent(test))
    assert test.metric
    assert f"You differ: the model says **{room.found.decision}**" in texts(test)
    (given,) = room.store.case(room.key).opinions
    assert (given.verdict, given.before, given.by) == (other, True, room.me.id)


def test_a_case_is_overridden_with_a_reason_signed_and_amended(enter: Callable[..., Room]) -> None:
    room = enter()
    test = opinion(press(room.page(), "Begin to read"), room.found.decision)
    assert "You and the model agree" in texts(test)
    test = press(test, "Override")
    assert "reason" in test.error[0].value
    assert not room.store.case(room.key).decisions
    next(t for t in test.text_area if t.key == f"override-{room.key}-reason").set_value("Seen otherwise on the CT")
    test = press(press(test, "Override"), "Sign: ")
    file = room.store.case(room.key)
    assert (file.state, len(file.signatures), file.lock) == ("signed", 1, None)
    assert file.verdict != room.found.decision
    assert "Signed: " in texts(test)
    assert "Seen otherwise on the CT" in texts(test)
    test = press(test, "Amend")
    choose(test, "It is", room.found.decision)
    next(t for t in test.text_area if t.label == "Reason").set_value("Follow-up shows it")
    test = press(test, "Amend and sign")
    assert "Amended: " in texts(test)
    assert room.store.case(room.key).verdict == room.found.decision
    counts = room.page("feedback")
    assert [metric.value for metric in counts.metric[:2]] == ["1 of 1", "0 of 1"]


def test_of_two_readers_one_wins_and_the_other_is_told_who_and_when(enter: Callable[..., Room]) -> None:
    room = enter()
    test = room.page()
    room.store.begin(room.key, room.bo.id)
    test = press(test, "Begin to read")
    assert "Somebody else reads this case: bo" in test.warning[-1].value.replace("\\", "")
    assert "UTC" in test.warning[-1].value
    assert not {"Begin to read", "Sign"} & set(labels(test))
    assert any("bo reads this case" in one.value for one in test.info)
    seen = listed(room.page("worklist")).set_index("Case").loc[room.key, "Read by"]
    assert seen.startswith("Being read by bo since ")
    room.store.release(room.key, room.bo.id)
    test = opinion(press(room.page(), "Begin to read"), room.found.decision)
    room.store.comment(room.key, room.bo.id, version=room.store.case(room.key).version, text="Look at the left base")
    test = press(test, "Accept: ")
    assert "bo, " in test.warning[-1].value
    assert not room.store.case(room.key).decisions
    assert "Look at the left base" in texts(test)
    press(test, "Accept: ")
    assert room.store.case(room.key).decisions[-1].by == room.me.id


@pytest.mark.parametrize(("roles", "never"), [(("viewer",), "Begin to read"), (("reader",), "Sign: ")])
def test_what_a_role_may_not_do_is_not_offered_and_is_refused(
    enter: Callable[..., Room], roles: tuple[Role, ...], never: str
) -> None:
    room = enter(roles)
    test = room.page()
    if "reader" in roles:
        test = press(opinion(press(test, "Begin to read"), room.found.decision), "Accept: ")
        assert "A signer signs it" in texts(test)
    else:
        assert leaked(room.found, sent(test)) == []
        assert "Comment" not in labels(test)
    assert not [label for label in labels(test) if label.startswith(never)]
    from components import acts

    before = room.store.case(room.key)
    act = {"Begin to read": "begin", "Sign: ": "sign"}[never]
    acts.attempt(act, room.key, lambda user: room.store.begin(room.key, user))
    assert room.store.case(room.key) == before


def test_a_reader_keeps_a_list_under_a_name_and_takes_it_again(enter: Callable[..., Room]) -> None:
    room = enter()
    test = room.page("worklist")
    test.text_input(key="list-text").set_value("STRANG").run()
    assert list(listed(test)["Case"]) == ["stranger"]
    test.text_input(key="list-name").set_value("Odd ones")
    test = press(test, "Keep")
    assert [one.query.text for one in room.store.filters(room.me.id)] == ["STRANG"]
    test = room.page("worklist")
    assert len(listed(test)) > 1
    assert list(listed(press(test, "Odd ones"))["Case"]) == ["stranger"]


def test_keys_of_the_page_lead_to_buttons_that_stand_on_it(enter: Callable[..., Room]) -> None:
    enter()
    from components.keys import TAKEN, keymap, keymap_of_page

    for place in ("worklist", "case"):
        rows = {row["action"]: row["keys"] for row in keymap_of_page(place)["keys"]}
        used = [key for keys in rows.values() for key in keys]
        assert len(used) == len(set(used))
        assert not TAKEN & set(used)
        assert "?" in used
    source = (folder("dashboards") / "components" / "decision.py").read_text() + (
        folder("dashboards") / "components" / "opinion.py"
    ).read_text()
    page = (folder("dashboards") / "views" / "case.py").read_text()
    for action in (row["action"] for row in keymap("case")["keys"]):
        name = action.rstrip("_1234")
        place = f"pick-{name}" if action[-1].isdigit() else f"do-{name}"
        assert f'key="{place}"' in source + page, action
