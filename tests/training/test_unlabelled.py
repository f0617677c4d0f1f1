"""Cases without a label: cross-entropy alone learns nothing from them, co-learning does."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy import ndarray as Array

from clinic_mm.cohort.split import UNLABELLED
from clinic_mm.predict.model import heard_of
from clinic_mm.training.methods import network
from clinic_mm.training.methods.base import Lesson
from tests import made

KINDS = ("record", "note")
N, FEW = 90, 40


@pytest.fixture(autouse=True)
def _few_steps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "FEWEST_STEPS", 12)
        patch.setattr(network, "MOST_STEPS", 12)
        yield


def _lesson(unlabelled: bool) -> Lesson:
    cases = made.prepared(KINDS, N, missing=0.2)
    labels = np.where(np.arange(N) < FEW, cases.labels, UNLABELLED)
    opinions = np.full((N, 2, 2), 0.5)
    rest = np.arange(FEW, N) if unlabelled else np.arange(0)
    heard = heard_of(cases, opinions, {})
    made_of = Lesson(heard, labels, cases.patients, np.array([0.5, 0.5]), np.arange(FEW), made.task(KINDS), seed=0)
    return replace(made_of, unlabelled=rest)


def _answers(lesson: Lesson, *colearning: str) -> Array:
    fitted = network.fit(lesson, {"fusion": "gated", "colearning": list(colearning)})
    return fitted.logits(lesson.heard, np.arange(N), lesson.heard.present)


def test_without_co_learning_they_change_nothing() -> None:
    np.testing.assert_array_equal(_answers(_lesson(unlabelled=True)), _answers(_lesson(unlabelled=False)))


@pytest.mark.parametrize("name", ["distill", "cycle", "translate", "shared_specific"])
def test_co_learning_learns_from_them(name: str) -> None:
    with_them, without = _answers(_lesson(unlabelled=True), name), _answers(_lesson(unlabelled=False), name)
    assert np.isfinite(with_them).all()
    assert not np.array_equal(with_them, without)


def test_a_batch_is_half_labelled_where_it_can_be() -> None:
    lesson = _lesson(unlabelled=True)
    batch = network._batch(lesson, np.arange(N), np.random.default_rng(0))
    assert (lesson.labels[batch] != UNLABELLED).sum() == min(FEW, network.BATCH // 2)
    assert len(np.unique(batch)) == len(batch) == min(N, network.BATCH)
