"""A column that differs in its last digits alone decides nothing: no answer, nor what lies outside of training."""

import numpy as np
import pytest

from clinic_mm.training.constant import varies
from clinic_mm.training.heads import fit_ridge
from clinic_mm.training.outside import fit_cloud

ROWS, SEED = 200, 5


def readings() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same cases by two readers, and their labels: the first column is white but for digits, the others speak."""
    rng = np.random.default_rng(SEED)
    labels = rng.integers(0, 2, ROWS)
    speaks = rng.normal(size=(ROWS, 3)) + 0.8 * labels[:, None]
    white = 1 - 2e-5 * rng.random(ROWS).astype(np.float32)
    first = np.column_stack([white, speaks]).astype(np.float32)
    second = first.copy()
    second[:, 0] = np.nextafter(first[:, 0], 0) - np.float32(1e-5) * rng.random(ROWS).astype(np.float32)
    return first, second, labels


@pytest.mark.parametrize("seed", range(3))
def test_two_readers_get_one_answer(seed: int) -> None:
    first, second, labels = readings()
    head = fit_ridge(first, labels, 2, seed=seed)
    assert np.abs(head.predict(first) - head.predict(second)).max() < 1e-6


def test_two_readers_lie_equally_far_from_training() -> None:
    first, second, _ = readings()
    cloud = fit_cloud(first)
    assert np.allclose(cloud.distance(first), cloud.distance(second), rtol=1e-6)


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e6])
def test_the_unit_does_not_matter(unit: float) -> None:
    middle = np.array([1.0, 100.0, -1024.0]) * unit
    share = np.array([1e-3, 1e-6, 1e-4])
    assert varies(np.abs(middle) * share, middle).tolist() == [True, False, True]


def test_what_lies_around_nothing_may_be_small() -> None:
    assert varies(np.array([1e-8, 0.0]), np.zeros(2)).tolist() == [True, False]
