"""Splits are by patient, stratified, and the same for the same seed."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from clinic_mm.cohort.split import check_disjoint, folds, split_patients
from clinic_mm.errors import LeakError, TaskError

CASES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 1)), min_size=20, max_size=120)


def _parted(cases: list[tuple[int, int]]) -> tuple[list[str], list[int | None]]:
    return [f"p{patient}" for patient, _ in cases], [label for _, label in cases]


@settings(deadline=None, max_examples=60)
@given(cases=CASES, seed=st.integers(0, 99), k=st.integers(2, 4))
def test_all_cases_of_a_patient_stand_in_one_fold(cases: list[tuple[int, int]], seed: int, k: int) -> None:
    keys, labels = _parted(cases)
    try:
        found = folds(keys, labels, k, seed)
    except TaskError:
        assume(False)
    for fold in range(k):
        check_disjoint(np.asarray(keys)[found != fold], np.asarray(keys)[found == fold])
        assert {labels[i] for i in np.flatnonzero(found == fold)} == {labels[i] for i in range(len(labels))}


@settings(deadline=None, max_examples=30)
@given(cases=CASES, seed=st.integers(0, 99))
def test_the_order_of_the_cases_changes_nothing(cases: list[tuple[int, int]], seed: int) -> None:
    keys, labels = _parted(cases)
    try:
        found = folds(keys, labels, 2, seed)
    except TaskError:
        assume(False)
    assert np.array_equal(folds(keys[::-1], labels[::-1], 2, seed), found[::-1])


def test_folds_are_even_within_every_class() -> None:
    keys = [f"p{i}" for i in range(100)]
    labels: list[int | None] = [int(i < 30) for i in range(100)]
    found = folds(keys, labels, 5, seed=1)
    assert np.bincount(found).tolist() == [20] * 5
    assert np.bincount(found[:30]).tolist() == [6] * 5


def test_a_fold_without_a_class_is_refused() -> None:
    with pytest.raises(TaskError, match="too few patients"):
        folds([f"p{i}" for i in range(10)], [1, 1] + [0] * 8, 3, seed=0)


def test_a_test_share_is_taken_of_every_class() -> None:
    keys = [f"p{i}" for i in range(100)]
    labels: list[int | None] = [int(i < 20) for i in range(100)]
    test = split_patients(keys, test_share=0.25, seed=3, labels=labels)
    assert (test[:20].sum(), test[20:].sum()) == (5, 20)


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0])
def test_a_share_that_leaves_a_side_empty_is_refused(share: float) -> None:
    with pytest.raises(TaskError, match="one side empty"):
        split_patients(["a", "b"], test_share=share, seed=0)


def test_a_patient_on_both_sides_is_a_leak_and_is_not_named() -> None:
    with pytest.raises(LeakError) as caught:
        check_disjoint(["secret", "b"], ["secret"])
    assert "secret" not in str(caught.value)
