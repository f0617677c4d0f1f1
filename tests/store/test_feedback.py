"""Agreement, switches and outcomes, counted on cases whose answer is known."""

import pytest

from clinic_mm.errors import InputError
from clinic_mm.store import Store

READ = {
    "c01": ("negative", "accept"),
    "c02": ("negative", "override"),
    "c03": ("positive", "accept"),
    "c04": ("negative", ""),
}
"""First opinion and act; by the answers: toward, away, kept, not decided."""


def read(store: Store, user: str, key: str) -> None:
    before, act = READ[key]
    seen = store.begin(key, user)
    seen = store.opinion(key, user, version=seen.version, verdict=before, sure=0.5)
    answer = store.prediction(key, user)
    assert answer is not None
    other = "negative" if answer.decision == "positive" else "positive"
    if act == "accept":
        store.decide(key, user, version=seen.version, act="accept", verdict=answer.decision)
    elif act == "override":
        store.decide(key, user, version=seen.version, act="override", verdict=other, reason="seen otherwise")
    store.release(key, user)


def test_every_reader_gets_his_own_figures(store: Store, ann: str, bo: str) -> None:
    for key in READ:
        read(store, ann, key)
    found = store.feedback(ann)
    models = {case.case_key: case.model for case in found.cases}
    assert models == {"c01": "positive", "c02": "negative", "c03": models["c03"], "c04": "negative"}
    agrees = int(models["c03"] == "positive")
    assert (found.opinions, found.agreed_before, found.decided) == (4, 2 + agrees, 3)
    assert (found.agreed_first, found.agreed_after, found.toward, found.away) == (1 + agrees, 2, 2 - agrees, 1)
    assert store.feedback(bo).opinions == 0


def test_what_turned_out_later_says_who_was_right(store: Store, ann: str) -> None:
    """The cohort's labels are outcomes already; pathology comes later and counts instead."""
    read(store, ann, "c01")
    assert (store.feedback(ann).right_after, store.feedback(ann).toward_wrong) == (1, 0)
    store.outcome("c01", verdict="negative", source="pathology")
    found = store.feedback(ann)
    assert (found.outcomes, found.right_before, found.right_after, found.right_model, found.toward_wrong) == (
        1,
        1,
        0,
        0,
        1,
    )
    read(store, ann, "c02")
    store.outcome("c02", verdict="positive", source="pathology")
    assert store.feedback(ann).away_right == 1
    with pytest.raises(InputError):
        store.outcome("c02", verdict="maybe", source="pathology")


def test_an_outcome_is_not_told_before_the_reader_decided(store: Store, ann: str) -> None:
    read(store, ann, "c04")
    assert [case.outcome for case in store.feedback(ann).cases] == [""]


def test_an_opinion_after_the_answer_was_shown_does_not_count(store: Store, ann: str) -> None:
    seen = store.begin("c01", ann)
    store.prediction("c01", ann, read_first=False)
    store.opinion("c01", ann, version=seen.version, verdict="positive", sure=1.0)
    assert store.feedback(ann).opinions == 0
