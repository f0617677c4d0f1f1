"""Every prep of the table: what it says of itself is so, and its recipe survives JSON."""

from datetime import timedelta

import numpy as np
import orjson
import pytest

from clinic_mm.errors import EvidenceError
from clinic_mm.modalities import table
from clinic_mm.prep.base import make_prep, plan_prep
from clinic_mm.prep.note import hashed
from clinic_mm.signals import NoteText
from clinic_mm.task import ModalityTask
from tests import made

each_kind = pytest.mark.parametrize("kind", sorted(table()))


@each_kind
def test_a_recipe_that_went_through_json_prepares_the_same(kind: str) -> None:
    prep = make_prep(kind, made.TINY[kind])
    back = make_prep(kind, orjson.loads(orjson.dumps(prep.recipe)))
    one, other = prep(made.signal(kind), made.DECISION), back(made.signal(kind), made.DECISION)
    np.testing.assert_array_equal(one.x, other.x)
    np.testing.assert_array_equal(one.plain, other.plain)
    assert (prep.key, prep.shape, prep.plain_names) == (back.key, back.shape, back.plain_names)


@each_kind
def test_shape_type_and_names_are_as_the_prep_says(kind: str) -> None:
    prep = make_prep(kind, made.TINY[kind])
    ready = prep(made.signal(kind), made.DECISION)
    assert ready.x.shape == prep.shape
    assert ready.x.dtype == prep.dtype
    assert ready.plain.dtype == np.float32
    assert ready.plain.shape == (len(prep.plain_names),)
    assert len(set(prep.plain_names)) == len(prep.plain_names)


@each_kind
def test_every_size_has_a_plan_of_its_own(kind: str) -> None:
    plans = [plan_prep(kind, size, ModalityTask(kind=kind)) for size in ("tiny", "small", "base")]
    assert len({plan.key for plan in plans}) == 3


@each_kind
def test_preparing_twice_gives_the_same_and_leaves_the_signal_alone(kind: str) -> None:
    prep, signal = make_prep(kind, made.TINY[kind]), made.signal(kind)
    first = prep(signal, made.DECISION)
    np.testing.assert_array_equal(prep(signal, made.DECISION).x, first.x)
    np.testing.assert_array_equal(prep(made.signal(kind), made.DECISION).plain, first.plain)


def test_hashing_is_the_same_on_every_machine() -> None:
    """Places written down once: an artifact of last year must read this year's notes."""
    vector = hashed("Fever and cough", 16)
    assert np.flatnonzero(vector).tolist() == [5, 6, 13]
    assert np.linalg.norm(vector) == pytest.approx(1.0)
    np.testing.assert_array_equal(hashed("FEVER, and  cough!", 16), vector)
    assert not np.array_equal(hashed("cough and fever", 16), vector), "word pairs know the order"


@pytest.mark.parametrize("text", ["", " \n", "---", "A +"])
def test_a_note_without_a_word_is_rejected(text: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        make_prep("note", made.TINY["note"])(NoteText(text))
    assert caught.value.code == "note.empty"


def test_only_a_record_asks_when_the_answer_is_due() -> None:
    later = made.DECISION + timedelta(days=100)
    for kind in table():
        prep, signal = make_prep(kind, made.TINY[kind]), made.signal(kind)
        same = np.array_equal(prep(signal, made.DECISION).x, prep(signal, later).x, equal_nan=True)
        assert same == (kind != "record")
