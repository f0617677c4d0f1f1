"""Dropping is at random, nested over rates, and never leaves a row with nothing by itself."""

from itertools import pairwise

import numpy as np
import pytest

from clinic_mm.evaluate.missingness import RATES, counter_intuitive_rate, curve, drop_columns, drop_modalities


def test_columns_of_a_parameter_go_together_at_the_rate_asked() -> None:
    x = np.ones((2000, 6))
    gone = np.isnan(drop_columns(x, 0.3, seed=1, parameter=["hr", "hr", "na", "hr", "na", "k"]))
    assert not np.isnan(x).any()
    np.testing.assert_array_equal(gone[:, 0], gone[:, 3])
    np.testing.assert_array_equal(gone[:, 2], gone[:, 4])
    assert gone.mean() == pytest.approx(0.3, abs=0.02)
    assert (gone[:, 0] != gone[:, 2]).any()


def test_what_is_gone_stays_gone_at_higher_rates() -> None:
    x, present = np.ones((300, 5)), np.random.default_rng(0).random((300, 4)) < 0.8
    for low, high in pairwise(RATES):
        assert (np.isnan(drop_columns(x, high, 3)) | ~np.isnan(drop_columns(x, low, 3))).all()
        assert (drop_modalities(present, low, 3) | ~drop_modalities(present, high, 3)).all()
    np.testing.assert_array_equal(drop_modalities(present, 0.0, 3), present)


def test_a_row_keeps_something_and_gets_nothing_that_it_had_not() -> None:
    present = np.random.default_rng(0).random((4000, 4)) < 0.6
    kept = drop_modalities(present, 0.5, seed=2)
    assert not (kept & ~present).any()
    np.testing.assert_array_equal(kept.any(axis=1), present.any(axis=1))
    full = drop_modalities(np.ones((4000, 4), dtype=bool), 1.0, seed=2)
    assert (full.sum(axis=1) == 1).all()
    np.testing.assert_allclose(full.mean(axis=0), 0.25, atol=0.03)


def test_a_curve_is_one_row_per_rate_in_order() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(100) % 2
    p = {rate: np.stack([1 - s, s], 1) for rate in (0.5, 0.0) for s in [rng.random(100) * 0.5 + y * (0.5 - rate)]}
    table = curve(p, y, np.arange(100), method="fusion", n=50)
    assert list(table["rate"]) == [0.0, 0.5]
    assert table["value"].is_monotonic_decreasing
    assert (table["low"] <= table["high"]).all()


def test_counter_intuitive_rate_counts_nested_pairs_of_each_case() -> None:
    helped = {"": (0.5, 0.5), "ct": (0.4, 0.6), "eeg": (0.4, 0.6), "ct+eeg": (0.2, 0.8)}
    mixed = {"": (0.5, 0.5), "ct": (0.1, 0.9), "eeg": (0.4, 0.6), "ct+eeg": (0.2, 0.8)}
    alone = {"": (0.5, 0.5), "ct": (0.9, 0.1)}
    found = counter_intuitive_rate([helped, mixed, alone], np.array([1, 1, 1]), np.array(["a", "b", "c"]))
    assert found.estimate == pytest.approx((0 + 0.5) / 2)
    assert (found.n_rows, found.n_patients) == (2, 2)
    assert found.low <= found.estimate <= found.high
    assert counter_intuitive_rate([helped], np.array([0]), np.array(["a"])).estimate == 1
    assert counter_intuitive_rate([alone], np.array([1]), np.array(["a"])).n_rows == 0
