"""A task with few labels of its own."""

import numpy as np
import pytest

from clinic_mm.cohort.few_labels import few_labels
from clinic_mm.errors import TaskError


def _cases(n: int = 600) -> tuple[list[str], np.ndarray]:
    rng = np.random.default_rng(0)
    labels = (rng.random(n) < 0.2).astype(int)
    labels[::50] = -1
    return [f"p{k // 2}" for k in range(n)], labels


def test_about_as_many_labels_are_kept_in_the_share_of_each_class() -> None:
    patients, labels = _cases()
    kept = few_labels(patients, labels, 100, seed=1)
    assert 95 <= kept.sum() <= 125
    assert labels[kept].mean() == pytest.approx(0.2, abs=0.08)
    assert (labels[kept] >= 0).all(), "what has no label has none to keep"


def test_a_patient_keeps_all_labels_or_none() -> None:
    patients, labels = _cases()
    kept = few_labels(patients, labels, 100, seed=1)
    known = labels >= 0
    for patient in set(patients):
        mine = (np.array(patients) == patient) & known
        assert len(set(kept[mine].tolist())) <= 1


def test_fewer_labels_are_among_more() -> None:
    patients, labels = _cases()
    sets = [few_labels(patients, labels, k, seed=1) for k in (50, 100, 300)]
    assert not (sets[0] & ~sets[1]).any()
    assert not (sets[1] & ~sets[2]).any()
    assert not np.array_equal(sets[1], few_labels(patients, labels, 100, seed=2))
    assert few_labels(patients, labels, 10_000, seed=1).sum() == (labels >= 0).sum()


def test_too_few_labels_to_learn_from_are_refused_with_the_number_that_would_do() -> None:
    patients, labels = _cases()
    with pytest.raises(TaskError, match="Keep at least") as refused:
        few_labels(patients, labels, 8, seed=1)
    enough = int(refused.value.mend.split()[-2])
    assert few_labels(patients, labels, enough, seed=1).any()
