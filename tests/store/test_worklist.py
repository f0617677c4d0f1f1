"""The work list: every case once, by urgency and waiting, with its reason; nothing sinks, nothing sealed is told."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic_mm.store import Store, WorklistQuery
from clinic_mm.store.ranking import PROMOTION, rank
from clinic_mm.store.values import Key, WorklistRow
from tests.store.conftest import SCORES, START, Clock

MINUTES = st.integers(-(10**6), 10**6)


def every(store: Store, limit: int = 2, **asked: object) -> list[WorklistRow]:
    """All pages."""
    found: list[WorklistRow] = []
    after: Key | None = None
    while True:
        page = store.worklist(WorklistQuery(limit=limit, after=after, **asked))
        assert len(page.rows) <= limit
        found.extend(page.rows)
        if page.next is None:
            assert len(found) == page.total
            return found
        after = page.next


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 50])
@pytest.mark.parametrize("order", ["urgency", "waiting"])
def test_pages_are_what_a_sort_would_give(store: Store, limit: int, order: str) -> None:
    keys = [row.case_key for row in every(store, limit, order=order)]
    by_urgency = sorted(SCORES, key=lambda key: (-SCORES[key], key))
    assert keys == (by_urgency if order == "urgency" else sorted(SCORES))


@pytest.mark.parametrize("order", ["urgency", "waiting"])
def test_states_are_merged_in_one_order(store: Store, ann: str, order: str) -> None:
    before = [row.case_key for row in every(store, order=order)]
    for key in ("c05", "c02"):
        store.begin(key, ann)
    assert [row.case_key for row in every(store, order=order)] == before
    assert {row.case_key for row in every(store, states=("in_review",))} == {"c05", "c02"}


@given(urgencies=st.tuples(st.floats(0, 1), st.floats(0, 1)), later=MINUTES, then=MINUTES)
def test_a_case_that_waits_so_long_is_read_before_any_that_came_after(
    urgencies: tuple[float, float], later: int, then: int
) -> None:
    first, other = START + timedelta(minutes=then), START + timedelta(minutes=then + later)
    mine, its = rank(urgencies[0], first), rank(urgencies[1], other)
    if other - first > PROMOTION + timedelta(minutes=1):
        assert mine < its
    if later == 0 and urgencies[0] > urgencies[1] + 1e-9:
        assert mine < its


def test_waiting_is_told_and_promotes(store: Store, clock: Clock) -> None:
    clock.later(days=3)
    row = store.worklist(WorklistQuery(limit=1)).rows[0]
    assert row.waits_h == pytest.approx(72)
    assert row.promoted == pytest.approx(3 / 7)
    assert row.reason.startswith("positive 0.")
    assert row.reason.endswith("waits 3 d, which adds 0.43")


def test_nothing_of_a_sealed_answer_is_told_by_row_or_by_filter(store: Store, ann: str) -> None:
    rows = every(store, sealed_for=ann)
    assert [row.case_key for row in rows] == [row.case_key for row in every(store)]
    for row in rows:
        assert (row.sealed, row.urgency, row.decision, row.answered) == (True, None, "", False)
        assert not {"positive", "negative"} & set(row.reason.replace(",", " ").split())
    assert every(store, sealed_for=ann, answer="positive") == []
    seen = store.begin("c01", ann)
    store.opinion("c01", ann, version=seen.version, verdict="negative", sure=0.5)
    assert [row.case_key for row in every(store, sealed_for=ann, answer="positive")] == ["c01"]
    told = {row.case_key: row.sealed for row in every(store, sealed_for=ann)}
    assert [key for key, sealed in told.items() if not sealed] == ["c01"]


def test_filters_keep_what_they_say(store: Store, ann: str) -> None:
    store.assign("c03", ann, ann)
    positive = {
        key for key, score in SCORES.items() if "positive" in store.case(key).reason.split(",")[0] and score > 0.4
    }
    assert {row.case_key for row in every(store, answer="positive")} >= positive
    assert [row.case_key for row in every(store, assigned=ann)] == ["c03"]
    assert len(every(store, assigned="")) == len(SCORES) - 1
    assert [row.case_key for row in every(store, text="C04")] == ["c04"]
    assert every(store, text="%") == every(store, text="c0_") == []
    assert len(every(store, pattern=("ct", "record"))) == len(SCORES)
    assert every(store, pattern=("ct",)) == every(store, answer="none") == []
    assert every(store, states=("signed",)) == []


def test_saved_filters_are_of_one_user(store: Store, ann: str, bo: str) -> None:
    query = WorklistQuery(states=("ready",), text="c0", after=(1.0, "c01"), sealed_for=ann)
    store.save_filter(ann, "Night", query)
    store.save_filter(ann, "Night", query.model_copy(update={"text": "c01"}))
    (kept,) = store.filters(ann)
    assert (kept.name, kept.query) == ("Night", WorklistQuery(states=("ready",), text="c01"))
    assert store.filters(bo) == ()
    store.drop_filter(bo, "Night")
    assert len(store.filters(ann)) == 1
    store.drop_filter(ann, "Night")
    assert store.filters(ann) == ()


def test_the_pulse_grows_with_what_is_done_and_not_with_looking(store: Store, ann: str) -> None:
    before = store.pulse()
    store.worklist()
    store.case("c01")
    assert store.pulse() == before
    store.begin("c01", ann)
    assert store.pulse() == before + 1
