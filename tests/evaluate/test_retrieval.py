"""Retrieval figures against hand counts, and chance levels against every order there is."""

from itertools import permutations

import numpy as np
import pytest
from numpy import ndarray as Array

from clinic_mm.evaluate.retrieval import Ranked, chance_median, chance_precision, chance_recall, ranked, scores


def every_order(size: int, right: int) -> tuple[Array, Array]:
    """First rank and average precision of every order of a gallery."""
    first, precision = [], []
    for order in permutations([True] * right + [False] * (size - right)):
        ranks = np.flatnonzero(order) + 1
        first.append(ranks[0])
        precision.append(np.mean(np.arange(1, right + 1) / ranks))
    return np.array(first), np.array(precision)


def of(size: int, right: int) -> Ranked:
    one = np.ones(1, int)
    return Ranked(one, np.ones(1), right * one, size * one, np.zeros(1, int))


@pytest.mark.parametrize(("size", "right"), [(6, 1), (6, 2), (7, 3), (5, 5), (1, 1)])
def test_chance_is_the_mean_over_every_order(size: int, right: int) -> None:
    first, precision = every_order(size, right)
    for k in (1, 2, 5, 10):
        assert chance_recall(of(size, right), k)[0] == pytest.approx((first <= k).mean(), abs=1e-9)
    assert chance_precision(of(size, right))[0] == pytest.approx(precision.mean(), abs=1e-9)
    assert chance_median(of(size, right)) == np.quantile(first, 0.5, method="inverted_cdf")


def angle(degrees: Array) -> Array:
    return np.stack([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))], axis=1)


def test_ranks_and_precision_by_hand() -> None:
    gallery = angle(np.array([0.0, 10, 20, 30]))
    right = np.array([[False, True, False, True], [True, False, False, False], [False] * 4])
    found = ranked(angle(np.array([0.0, 25.0, 3.0])), gallery, right)
    assert found.query.tolist() == [0, 1]  # the third has nothing right to find
    assert found.first.tolist() == [2, 4]
    np.testing.assert_allclose(found.precision, [(1 / 2 + 2 / 4) / 2, 1 / 4])


def test_what_may_not_be_ranked_takes_no_place() -> None:
    gallery = angle(np.array([0.0, 10, 20, 30]))
    right = np.array([[True, False, True, False]])
    found = ranked(angle(np.array([0.0])), gallery, right, allowed=np.array([[False, True, True, True]]))
    assert (found.first[0], found.right[0], found.size[0]) == (2, 1, 3)


def test_a_space_that_says_the_same_of_everybody_scores_chance() -> None:
    same = np.tile([[1.0, 0.0]], (400, 1))
    found = scores(ranked(same, same, np.eye(400, dtype=bool)), np.arange(400), n=50)
    for one in found[:4]:
        assert abs(one.value - one.chance) < 0.02
    assert 150 < found[4].value < 250
    assert found[4].chance == 200


def test_a_space_that_finds_everybody_scores_one() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(300, 8))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    found = {one.name: one for one in scores(ranked(points, points, np.eye(300, dtype=bool)), np.arange(300), n=50)}
    assert found["R@1"].value == found["MAP"].value == found["median rank"].value == 1
    assert found["R@1"].chance == pytest.approx(1 / 300)
    assert found["R@10"].chance == pytest.approx(10 / 300)


def test_intervals_count_patients_not_cases() -> None:
    rng = np.random.default_rng(1)
    points = rng.normal(size=(60, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    noisy = points + 0.8 * rng.normal(size=points.shape)
    noisy /= np.linalg.norm(noisy, axis=1, keepdims=True)
    once = ranked(noisy, points, np.eye(60, dtype=bool))
    twenty = ranked(np.repeat(noisy, 20, axis=0), points, np.repeat(np.eye(60, dtype=bool), 20, axis=0))
    a = scores(once, np.arange(60))[3]
    b = scores(twenty, np.repeat(np.arange(60), 20))[3]
    assert (b.high - b.low) == pytest.approx(a.high - a.low, rel=0.1)


def test_nothing_to_find_is_no_figure() -> None:
    points = np.eye(3)
    assert scores(ranked(points, points, np.zeros((3, 3), bool)), np.arange(3)) == []
