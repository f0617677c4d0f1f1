"""Weighted sets: the equation case by case, coverage restored on a shifted simulated stream, and a warning."""

import numpy as np
import pytest
from numpy import ndarray as Array

from clinic_mm.predict.conformal import conformal_quantile
from clinic_mm.predict.shift import (
    CLIP,
    CalibrationCases,
    auroc_of,
    calibration_cases_from,
    effective_n,
    features_of,
    fit_logistic,
    fit_shift,
)
from clinic_mm.simulate.latent import DELTAS, World, draw

WORLD = World(modalities=("ct", "eeg", "record"), rate=0.2)
LEVEL = 0.9


def test_a_weighted_threshold_is_that_of_the_paper_with_the_new_case_at_infinity() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        n = int(rng.integers(1, 30))
        scores, weight, beyond = rng.random(n).round(1), rng.exponential(size=n), rng.exponential()
        share = weight / (weight.sum() + beyond)
        reached = [s for s in sorted(scores) if share[scores <= s].sum() >= LEVEL - 1e-9]
        assert conformal_quantile(scores, weight, LEVEL, beyond) == (reached[0] if reached else 1.0)


def answers(e: Array, present: Array) -> Array:
    """What a perfect model of the simulated world says."""
    delta = np.array([DELTAS[m] for m in WORLD.modalities])
    odds = np.log(0.3 / 0.7) + np.where(present, e * delta, 0.0).sum(axis=1)
    p = 1 / (1 + np.exp(-odds))
    return np.column_stack([1 - p, p])


def stream(seed: int, n: int, width: float = 99.0) -> tuple[Array, Array, Array, Array]:
    """Features, presence, probabilities and labels of cases; clear ones stay away, the more the narrower the width."""
    rng = np.random.default_rng(seed)
    drawn = draw(WORLD, rng, 20 * n)
    whole = answers(drawn.e, drawn.present)
    away = (np.log(whole[:, 1] / whole[:, 0]) - np.log(0.25)) / width
    comes = drawn.present.any(axis=1) & (rng.random(len(away)) < np.exp(-0.5 * np.square(away)))
    kept = np.flatnonzero(comes)[:n]
    assert len(kept) == n
    present, e = drawn.present[kept], drawn.e[kept]
    one = np.eye(3, dtype=bool)
    alone = np.stack([answers(e, np.tile(one[m], (n, 1))) for m in range(3)], axis=1)
    gist = [np.where(present[:, [m]], e[:, [m]], np.nan) for m in range(3)]
    return features_of(present, gist, alone, whole[kept]), present, whole[kept], drawn.y[kept]


def calibration(seed: int, n: int = 2000) -> CalibrationCases:
    features, present, p, y = stream(seed, n)
    return CalibrationCases(features, present, 1 - p[np.arange(n), y], y, np.arange(n))


def cover(scores: Array, p: Array, y: Array) -> float:
    rows = np.arange(len(y))
    return float(((1 - p[rows, y] <= scores) | (p.argmax(axis=1) == y)).mean())


def test_weights_restore_the_coverage_that_a_shift_takes_away() -> None:
    """Repeated over streams, since one calibration set alone has a spread of 0.01."""
    plain, weighted, none = [], [], []
    for seed in range(4):
        cases = calibration(seed)
        features, present, p, y = stream(100 + seed, 1500, width=0.6)
        unweighted = fit_shift(cases, cases.features, cases.patient, class_conditional=False)
        shift = fit_shift(cases, features, np.arange(len(y)), class_conditional=False)
        assert not shift.void
        assert shift.effective < len(cases.score)
        plain.append(cover(_scores(unweighted.rules(features, present, LEVEL)), p, y))
        weighted.append(cover(_scores(shift.rules(features, present, LEVEL)), p, y))
        none.append(unweighted.auroc)
    assert np.mean(plain) < 0.865, "the shift must hurt, or nothing is shown"
    assert abs(np.mean(weighted) - LEVEL) < 0.02
    assert np.mean(none) == pytest.approx(0.5, abs=0.05)


def _scores(rules: list[object]) -> Array:
    return np.array([rule.score[0] for rule in rules])  # type: ignore[attr-defined]


def test_a_cohort_that_hardly_overlaps_or_is_too_small_makes_the_promise_void() -> None:
    cases = calibration(0, 500)
    far = cases.features[:200] + 8.0
    assert "overlap" in fit_shift(cases, far, np.arange(200), class_conditional=False).void
    assert "only 20 cases" in fit_shift(cases, cases.features[:20], np.arange(20), class_conditional=False).void
    assert fit_shift(cases, cases.features[:200], np.arange(200), class_conditional=False).void == ""


def test_no_case_weighs_more_than_the_clip_and_patients_count_once() -> None:
    cases = calibration(1, 400)
    shift = fit_shift(cases, cases.features[:100] + 2.0, np.arange(100), class_conditional=True)
    assert shift.weight.max() <= CLIP
    assert shift.rules(cases.features[:3], cases.present[:3], LEVEL)[0].score.shape == (2,)
    assert effective_n(np.ones(40), np.arange(40)) == pytest.approx(40)
    assert effective_n(np.ones(40), np.arange(40) // 4) == pytest.approx(10)
    assert effective_n(np.r_[1.0, np.zeros(39)], np.arange(40)) == pytest.approx(1)


def test_what_the_file_keeps_gives_the_same_thresholds() -> None:
    cases = calibration(2, 300)
    back = calibration_cases_from(cases.to_arrays())
    one, two = (fit_shift(c, cases.features[:60] + 0.5, np.arange(60), class_conditional=False) for c in (cases, back))
    np.testing.assert_allclose(one.weight, two.weight, rtol=1e-3)


def test_the_logistic_model_is_at_its_optimum_and_the_auroc_counts_pairs() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 5)), (rng.random(300) < 0.3).astype(float)
    x[y > 0] += 0.7
    model = fit_logistic(x, y, 10.0)
    p = 1 / (1 + np.exp(-model.log_odds(x)))
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    np.testing.assert_allclose(z.T @ (y - p), 10.0 * model.coef, atol=1e-4)
    assert p.mean() == pytest.approx(y.mean(), abs=1e-6)
    score = x[:, 0].round(1)
    pairs = score[y > 0][:, None] - score[y == 0][None, :]
    assert auroc_of(score, y) == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())
