"""What modality dropout leaves."""

import numpy as np
import pytest
from numpy import ndarray as Array

from clinic_mm.colearning.dropout import drawn_pattern, drawn_subset

EACH = pytest.mark.parametrize("drawn", [drawn_subset, drawn_pattern])


def _present(n: int, m: int = 4) -> Array:
    present = np.random.default_rng(0).random((n, m)) < 0.7
    present[0] = False
    return present


@EACH
def test_never_more_than_was_there_and_never_nobody(drawn: object) -> None:
    present = _present(400)
    left = drawn(present, np.random.default_rng(1))  # type: ignore[operator]
    assert not (left & ~present).any()
    assert (left.any(axis=1) == present.any(axis=1)).all()


def test_sizes_are_uniform_over_what_is_possible() -> None:
    whole = np.ones((40_000, 4), bool)
    left = drawn_subset(whole, np.random.default_rng(2))
    np.testing.assert_allclose(np.bincount(left.sum(axis=1), minlength=5)[1:] / 40_000, 0.25, atol=0.01)
    np.testing.assert_allclose(left.mean(axis=0), 0.625, atol=0.01)


def test_a_pattern_is_one_for_all_rows_that_have_some_of_it() -> None:
    whole, sizes = np.ones((5, 4), bool), []
    for seed in range(2000):
        left = drawn_pattern(whole, np.random.default_rng(seed))
        assert (left == left[0]).all()
        sizes.append(int(left[0].sum()))
    np.testing.assert_allclose(np.bincount(sizes, minlength=5)[1:] / 2000, 0.25, atol=0.04)
