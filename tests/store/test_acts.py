"""A case from the work list to the signature: in every order that must not be, and by two people at once."""

from datetime import timedelta
from pathlib import Path

import pytest

from clinic_mm.errors import InputError
from clinic_mm.store import ConflictError, SealedError, Store
from clinic_mm.store.states import LOCK
from clinic_mm.store.values import CaseFile
from tests.store.conftest import Clock


def read_and_decide(store: Store, user: str, key: str = "c01") -> CaseFile:
    seen = store.begin(key, user)
    seen = store.opinion(key, user, version=seen.version, verdict="negative", sure=0.6)
    return store.decide(key, user, version=seen.version, act="accept", verdict="positive")


def test_a_case_is_read_first_decided_signed_and_amended(store: Store, ann: str, clock: Clock) -> None:
    assert store.case("c01").state == "ready"
    seen = store.begin("c01", ann)
    assert (seen.state, seen.lock and seen.lock.by) == ("in_review", ann)
    with pytest.raises(SealedError):
        store.prediction("c01", ann)
    seen = store.opinion("c01", ann, version=seen.version, verdict="negative", sure=0.6)
    answer = store.prediction("c01", ann)
    assert answer is not None
    assert answer.content_hash == seen.answer_hash == seen.opinions[0].answer_hash
    seen = store.decide("c01", ann, version=seen.version, act="accept", verdict=answer.decision)
    clock.later(minutes=2)
    seen = store.sign("c01", ann, version=seen.version)
    assert (seen.state, seen.lock, seen.verdict) == ("signed", None, "positive")
    assert seen.signatures[0].decision == seen.decisions[0].number
    assert seen.signatures[0].at == clock.now
    seen = store.amend("c01", ann, version=seen.version, verdict="negative", reason="the biopsy says so")
    assert (seen.state, seen.verdict, len(seen.signatures)) == ("amended", "negative", 2)
    assert seen.decisions[0].verdict == "positive"  # what was signed before stays
    assert store.audit.verify().whole


def test_a_first_opinion_is_given_once_and_says_whether_it_came_first(store: Store, ann: str, bo: str) -> None:
    seen = store.begin("c01", ann)
    seen = store.opinion("c01", ann, version=seen.version, verdict="negative", sure=0.6)
    with pytest.raises(ConflictError, match="never changed"):
        store.opinion("c01", ann, version=seen.version, verdict="positive", sure=0.9)
    store.release("c01", ann)
    seen = store.begin("c01", bo)
    assert store.prediction("c01", bo, read_first=False) is not None
    seen = store.opinion("c01", bo, version=seen.version, verdict="positive", sure=1.0)
    assert [(one.by, one.before) for one in seen.opinions] == [(ann, True), (bo, False)]


def test_a_second_reader_sees_nothing_of_the_first_before_his_own_opinion(store: Store, ann: str, bo: str) -> None:
    read_and_decide(store, ann)
    store.release("c01", ann)
    blind = store.case("c01", seen_by=bo)
    assert blind.sealed
    assert (blind.opinions, blind.decisions, blind.urgency) == ((), (), None)
    assert "positive" not in blind.reason
    seen = store.begin("c01", bo)
    store.opinion("c01", bo, version=seen.version, verdict="negative", sure=0.5)
    told = store.case("c01", seen_by=bo)
    assert (told.sealed, len(told.opinions), len(told.decisions)) == (False, 2, 1)


def test_who_comes_second_is_told_who_reads_since_when(store: Store, ann: str, bo: str, clock: Clock) -> None:
    began = clock.now
    seen = store.begin("c01", ann)
    clock.later(minutes=5)
    for act in (
        lambda: store.begin("c01", bo),
        lambda: store.opinion("c01", bo, version=seen.version, verdict="negative", sure=0.5),
    ):
        with pytest.raises(ConflictError) as told:
            act()
        assert (told.value.by, told.value.at_time) == (ann, began)
    assert store.worklist().rows[0].lock is not None
    assert store.begin("c01", ann).lock is not None  # going on is no conflict


def test_a_lock_ends_when_nothing_is_done_and_the_case_is_ready_again(
    store: Store, ann: str, bo: str, clock: Clock
) -> None:
    seen = store.begin("c01", ann)
    clock.later(minutes=LOCK / timedelta(minutes=1) - 1)
    seen = store.opinion("c01", ann, version=seen.version, verdict="negative", sure=0.6)  # goes on from here
    clock.later(minutes=LOCK / timedelta(minutes=1) - 1)
    with pytest.raises(ConflictError):
        store.begin("c01", bo)
    clock.later(minutes=1)
    assert "c01" in [row.case_key for row in store.worklist().rows if row.state == "ready"]
    assert store.begin("c01", bo).lock is not None
    with pytest.raises(ConflictError):
        store.decide("c01", ann, version=seen.version, act="accept", verdict="positive")
    assert [entry.act for entry in store.audit.entries(case_key="c01")] == ["begin", "lock_over", "opinion", "begin"]


def test_a_case_that_was_decided_keeps_its_decision_when_it_is_given_back(store: Store, ann: str, bo: str) -> None:
    seen = read_and_decide(store, ann)
    store.release("c01", bo)  # not his: nothing happens
    assert store.case("c01").lock is not None
    assert store.release("c01", ann).state == "in_review"
    assert store.sign("c01", bo, version=seen.version).state == "signed"


@pytest.mark.parametrize(
    ("act", "verdict", "reason"),
    [
        ("override", "negative", "  "),
        ("override", "positive", "same"),
        ("accept", "negative", ""),
        ("accept", "maybe", ""),
        ("own", "maybe", ""),
        ("agree", "positive", ""),
        ("override", "negative", "nul \x00"),
        ("override", "negative", "half \ud800"),
        ("override", "negative", "x" * 5000),
    ],
)
def test_a_decision_that_does_not_fit_is_refused_and_leaves_nothing(
    store: Store, ann: str, act: str, verdict: str, reason: str
) -> None:
    seen, pulse = store.begin("c01", ann), store.pulse()
    with pytest.raises(InputError):
        store.decide("c01", ann, version=seen.version, act=act, verdict=verdict, reason=reason)  # type: ignore[arg-type]
    assert (store.case("c01").version, store.pulse()) == (seen.version, pulse)


def test_nothing_can_be_done_in_a_state_that_it_does_not_fit_to(store: Store, ann: str) -> None:
    for act in (
        lambda: store.opinion("c01", ann, version=0, verdict="negative", sure=0.5),
        lambda: store.decide("c01", ann, version=0, act="accept", verdict="positive"),
        lambda: store.sign("c01", ann, version=0),
        lambda: store.amend("c01", ann, version=0, verdict="negative", reason="x"),
        lambda: store.begin("c99", ann),
        lambda: store.begin("c01", "nobody"),
    ):
        with pytest.raises(InputError):
            act()
    seen = store.begin("c01", ann)
    with pytest.raises(InputError, match="Nobody has decided"):
        store.sign("c01", ann, version=seen.version)
    for sure in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError):
            store.opinion("c01", ann, version=seen.version, verdict="negative", sure=sure)


def test_who_acts_on_an_old_version_is_told_who_was_quicker(store: Store, ann: str, bo: str) -> None:
    seen = store.begin("c01", ann)
    store.comment("c01", bo, version=seen.version, text="look at the left apex")
    with pytest.raises(ConflictError) as told:
        store.opinion("c01", ann, version=seen.version, verdict="negative", sure=0.5)
    assert told.value.by == bo


def test_a_disabled_user_can_do_nothing(store: Store, ann: str, bo: str) -> None:
    store.users.disable(bo, by=ann)
    with pytest.raises(InputError, match="may not act"):
        store.begin("c01", bo)


def test_broken_glass_lets_one_user_see_one_case_for_a_while(store: Store, ann: str, bo: str, clock: Clock) -> None:
    with pytest.raises(InputError):
        store.break_glass(bo, "c01", " ")
    until = store.break_glass(bo, "c01", "on call, patient in the resuscitation room")
    assert store.glass_broken(bo, "c01")
    assert not store.glass_broken(ann, "c01")
    assert not store.glass_broken(bo, "c02")
    assert not store.glass_broken(bo, "c01", until)
    assert [entry.act for entry in store.audit.entries(actor=bo)] == ["break_glass"]


def test_nothing_that_a_person_typed_stands_in_the_audit(store: Store, ann: str, tmp_path: Path) -> None:
    typed = "Grandmother of the head of surgery"
    store.break_glass(ann, "c02", typed)
    seen = store.comment("c01", ann, version=0, text=typed)
    assert seen.comments[0].text == typed
    assert typed not in str(store.audit.entries())
    assert "ann" not in str(store.audit.entries())
    assert typed not in (tmp_path / "room" / "heads" / "heads.jsonl").read_text()
