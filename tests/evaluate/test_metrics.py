"""Metrics are what their definitions say, for a sample and for weighted resamples of it."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from clinic_mm.evaluate.metrics import (
    METRICS,
    auprc,
    auroc,
    brier,
    coverage,
    ece,
    excess_ece,
    nll,
    set_size,
)
from clinic_mm.predict.interval import clopper_pearson


def _sample(n: int = 300, n_classes: int = 2, seed: int = 0, digits: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities rounded hard enough to tie, and labels that follow them."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(n_classes), n).round(digits) + 1e-3
    p /= p.sum(axis=1, keepdims=True)
    return p, np.array([rng.choice(n_classes, p=row) for row in p])


def test_auroc_is_the_mann_whitney_statistic_with_ties() -> None:
    p, y = _sample()
    a, b = p[y == 1, 1], p[y == 0, 1]
    assert auroc(p, y) == pytest.approx(mannwhitneyu(a, b).statistic / (len(a) * len(b)), abs=1e-12)


def test_metrics_equal_scikit_learn() -> None:
    p, y = _sample()
    assert auprc(p, y) == pytest.approx(average_precision_score(y, p[:, 1]), abs=1e-12)
    assert brier(p, y) == pytest.approx(np.mean((p[:, 1] - y) ** 2), abs=1e-12)
    many, labels = _sample(n_classes=4)
    assert auroc(many, labels) == pytest.approx(roc_auc_score(labels, many, multi_class="ovr"), abs=1e-12)
    assert nll(many, labels) == pytest.approx(log_loss(labels, many), abs=1e-12)


@pytest.mark.parametrize("name", sorted(set(METRICS) - {"excess_ece"}))
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_count_is_the_same_as_repeating_the_row(name: str, n_classes: int) -> None:
    p, y = _sample(80, n_classes)
    counts = np.random.default_rng(1).integers(0, 3, (2, len(y))).astype(float)
    rows = [np.repeat(np.arange(len(y)), c.astype(int)) for c in counts]
    repeated = [METRICS[name](p[r], y[r]) for r in rows]
    np.testing.assert_allclose(METRICS[name].resampled(p, y, counts), repeated, atol=1e-12)


def test_a_metric_that_is_not_defined_is_nan() -> None:
    p, y = _sample()
    assert np.isnan(auroc(p, np.zeros_like(y)))
    assert np.isnan(auprc(p, np.zeros_like(y)))
    three, _ = _sample(n_classes=3)
    two_seen = np.arange(len(three)) % 2
    expected = np.mean([roc_auc_score(two_seen == c, three[:, c]) for c in (0, 1)])
    assert auroc(three, two_seen) == pytest.approx(expected)
    assert all(np.isnan(m(p[:0], y[:0])) for m in METRICS.values())


@pytest.mark.parametrize("n_classes", [2, 3])
def test_excess_ece_is_about_zero_for_a_calibrated_model_and_ece_is_not(n_classes: int) -> None:
    samples = [_sample(300, n_classes, seed, digits=8) for seed in range(40)]
    plain = np.mean([ece(p, y) for p, y in samples])
    excess = np.mean([excess_ece(p, y) for p, y in samples])
    assert plain > 0.04
    assert abs(excess) < 0.006
    sharp = [(p**2 / (p**2).sum(axis=1, keepdims=True), y) for p, y in samples]
    assert np.mean([excess_ece(p, y) for p, y in sharp]) > 0.04


def test_clopper_pearson_holds_its_level_and_knows_the_ends() -> None:
    ends = np.array([clopper_pearson(k, 50) for k in range(51)])
    truth = 0.9
    hits = np.random.default_rng(0).binomial(50, truth, 4000)
    assert np.mean((ends[hits, 0] <= truth) & (truth <= ends[hits, 1])) > 0.95
    assert ends[0, 0] == 0
    assert ends[50, 1] == 1
    low, high = clopper_pearson(90, 100)
    assert (low, high) == pytest.approx((0.8238, 0.9510), abs=1e-4)
    wide = clopper_pearson(90, 100, comparisons=15)
    assert wide[0] < low < high < wide[1]


def test_coverage_counts_patients_and_judges_a_promise() -> None:
    sets = np.array([[True, True], [True, False], [False, True], [True, False]])
    labels = np.array([0, 1, 1, 0])
    assert coverage(sets, labels).estimate == 0.75
    of_patients = coverage(sets, labels, np.array(["a", "a", "a", "b"]))
    assert of_patients.n == 2
    assert of_patients.estimate == pytest.approx((2 / 3 + 1) / 2)
    assert set_size(sets) == 1.25
    many = np.ones((400, 2), dtype=bool)
    many[:80, 0] = False
    assert not coverage(many, np.zeros(400, dtype=int)).allows(0.9)
    assert coverage(many, np.zeros(400, dtype=int)).allows(0.8)
