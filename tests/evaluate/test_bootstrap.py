"""Intervals resample patients, pair what is compared, and hold their level."""

import time

import numpy as np
import pytest

from clinic_mm.errors import InputError
from clinic_mm.evaluate.bootstrap import interval, paired_interval, paired_interval_repeats
from clinic_mm.evaluate.metrics import auroc, brier, nll


def _scores(n: int, seed: int = 0, d: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(int)
    p = 1 / (1 + np.exp(-(rng.normal(size=n) + d * y)))
    return np.stack([1 - p, p], axis=1), y


def test_the_interval_holds_the_truth_at_about_its_level() -> None:
    truth = 0.7602  # Phi(1 / sqrt 2)
    found = [interval(auroc, *_scores(150, s), np.arange(150), n=200, level=0.9) for s in range(200)]
    held = np.mean([i.low <= truth <= i.high for i in found])
    assert 0.84 < held < 0.96


def test_rows_of_one_patient_do_not_count_as_more_patients() -> None:
    p, y = _scores(200)
    once = interval(brier, p, y, np.arange(200))
    thrice = interval(brier, np.tile(p, (3, 1)), np.tile(y, 3), np.tile(np.arange(200), 3))
    assert (thrice.n_patients, thrice.n_rows) == (200, 600)
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high), abs=1e-12)


def test_draws_are_those_of_a_plain_loop_over_patients() -> None:
    p, y = _scores(60)
    patients = np.repeat(np.arange(20), 3)
    found = interval(nll, p, y, patients, n=3000)
    rng = np.random.default_rng(5)
    rows = [np.concatenate([np.arange(3 * k, 3 * k + 3) for k in rng.integers(20, size=20)]) for _ in range(3000)]
    low, high = np.quantile([nll(p[r], y[r]) for r in rows], (0.025, 0.975))
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.02)


def test_a_pair_is_compared_on_the_same_draws() -> None:
    p, y = _scores(300)
    other = np.clip(p + np.array([0.01, -0.01]), 0.001, 0.999)
    alone, pair = interval(brier, p, y, np.arange(300)), paired_interval(brier, p, other, y, np.arange(300))
    assert pair.estimate == pytest.approx(brier(p, y) - brier(other, y))
    assert pair.high - pair.low < (alone.high - alone.low) / 5
    nothing = paired_interval(auroc, p, p, y, np.arange(300))
    assert (nothing.estimate, nothing.low, nothing.high) == (0, 0, 0)


def test_repeats_are_averaged_within_each_draw() -> None:
    (a, y), (b, _) = _scores(200, 0), _scores(200, 1)
    patients = np.arange(200)
    same = paired_interval_repeats(auroc, np.stack([a, a, a]), np.stack([b, b]), y, patients)
    once = paired_interval(auroc, a, b, y, patients)
    assert (same.estimate, same.low, same.high) == pytest.approx((once.estimate, once.low, once.high), abs=1e-12)
    mixed = paired_interval_repeats(auroc, np.stack([a, b]), np.stack([b, b]), y, patients)
    assert mixed.estimate == pytest.approx((auroc(a, y) - auroc(b, y)) / 2)
    with pytest.raises(InputError, match="repeats, rows, classes"):
        paired_interval_repeats(auroc, a, b, y, patients)


def test_the_same_seed_gives_the_same_interval_and_rows_must_fit() -> None:
    p, y = _scores(100)
    assert interval(auroc, p, y, np.arange(100), seed=3) == interval(auroc, p, y, np.arange(100), seed=3)
    assert np.isnan(interval(auroc, p, np.zeros_like(y), np.arange(100)).low)
    assert interval(auroc, p[:0], y[:0], np.arange(0)).n_rows == 0
    with pytest.raises(InputError, match="differ in number of rows"):
        interval(auroc, p, y[:-1], np.arange(100))


def test_a_thousand_draws_of_four_thousand_cases_are_quick() -> None:
    p, y = _scores(4000)
    start = time.process_time()
    interval(auroc, p, y, np.arange(4000))
    assert time.process_time() - start < 1.5
