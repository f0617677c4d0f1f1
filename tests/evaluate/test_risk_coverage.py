"""Risk over coverage: a plain loop, its ends, ties, and what silence does."""

import numpy as np
import pytest

from clinic_mm.evaluate.risk_coverage import areas, aurc, losses, risk_coverage, selective_risk, silence_table


def _answers(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.random(n)
    return np.stack([1 - p, p], axis=1), (rng.random(n) < p).astype(int)


def test_the_area_is_the_mean_risk_of_the_k_surest_answers() -> None:
    probs, labels = _answers(40)
    score, loss = probs.max(axis=1), losses(probs, labels)["error"]
    order = sorted(range(40), key=lambda i: -score[i])
    plain = np.mean([np.mean([loss[i] for i in order[:k]]) for k in range(1, 41)])
    assert aurc(score, loss)[0] == pytest.approx(plain)


def test_ties_cost_what_a_random_order_of_them_costs() -> None:
    score, loss = np.array([1.0, 1.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0, 1.0])
    rng = np.random.default_rng(0)
    shuffled = np.mean([aurc(score + 1e-6 * rng.random(4), loss)[0] for _ in range(4000)])
    assert aurc(score, loss)[0] == pytest.approx(shuffled, abs=0.01)


def test_counts_are_copies_of_cases() -> None:
    probs, labels = _answers(30)
    score, loss = probs.max(axis=1), losses(probs, labels)["brier"]
    counts = np.random.default_rng(1).integers(0, 4, 30)
    copied = aurc(np.repeat(score, counts), np.repeat(loss, counts))[0]
    # Copies of one case are a tie, and count as often as they were drawn.
    assert aurc(score, loss, counts[None].astype(float))[0] == pytest.approx(copied, abs=0.01)


def test_all_orders_end_at_the_risk_of_all_answers_and_ours_lies_between() -> None:
    probs, labels = _answers(400)
    curves = risk_coverage(probs, labels)
    whole = curves[curves["coverage"] == 1.0].groupby("loss")["risk"]
    assert (whole.max() - whole.min()).max() < 1e-12
    table = areas(probs, labels, np.arange(400), n=100)
    assert (table["perfect"] < table["aurc"]).all()
    assert (table["aurc"] < table["random"]).all()
    assert (table["gain_low"] > 0).all()


def test_an_order_without_knowledge_gains_nothing() -> None:
    labels = np.random.default_rng(2).integers(0, 2, 2000)
    probs = np.random.default_rng(3).dirichlet((1, 1), 2000)
    row = areas(probs, labels, np.arange(2000), n=200).set_index("loss").loc["error"]
    assert row["gain_low"] < 0 < row["gain_high"]


def test_silence_about_the_worst_answers_is_seen_to_lower_the_risk() -> None:
    probs, labels = _answers(600)
    wrong = losses(probs, labels)["error"] == 1
    codes = [("contradiction",) if bad and i % 2 else () for i, bad in enumerate(wrong)]
    row = (
        silence_table(probs, labels, np.arange(600), codes, n=100).query("loss == 'error' and reason == 'any'").iloc[0]
    )
    assert row["silenced"] == 1.0
    assert row["low"] > 0


def test_coverage_rises_to_one() -> None:
    coverage, _ = selective_risk(np.array([0.2, 0.9, 0.5]), np.zeros(3))
    np.testing.assert_allclose(coverage[0], [1 / 3, 2 / 3, 1])
