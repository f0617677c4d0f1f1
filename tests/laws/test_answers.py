"""Laws of what turns opinions into answers: pool, temperatures, prediction sets, shares."""

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy import ndarray as Array

from clinic_mm.fusion.pool import LogPool, softmax, subsets, unfitted
from clinic_mm.predict.calibrate import Temperatures
from clinic_mm.predict.conformal import Thresholds, conformal_quantile, per_patient, single

quick = settings(deadline=None, max_examples=40)


def _names(n: int) -> tuple[str, ...]:
    return tuple("edcba"[:n])  # not sorted, on purpose: columns follow the list, patterns are sorted


def _pool(n: int, seed: int = 0) -> LogPool:
    rng = np.random.default_rng(seed)
    pair = tuple(sorted(_names(n)[:2]))
    own = {pair: rng.normal(size=n)}
    prior = np.array([0.5, 0.3, 0.2])
    return LogPool(_names(n), prior, rng.normal(size=n), rng.normal(size=n), own, {pair: rng.normal(size=3)})


def _asked(n: int, seed: int = 1) -> tuple[Array, Array]:
    """Every subset once, with opinions of everyone."""
    rng = np.random.default_rng(seed)
    present = np.array([[k >> m & 1 for m in range(n)] for k in range(2**n)], dtype=bool)
    return rng.dirichlet(np.ones(3), (len(present), n)), present


def _plain_loop(pool: LogPool, opinions: Array, present: Array) -> Array:
    out = []
    for row, opinion in zip(present, opinions, strict=True):
        spoken = [m for m in range(len(row)) if row[m]]
        pattern = tuple(sorted(pool.names[m] for m in spoken))
        logits = [float(np.log(p)) for p in pool.prior]
        for c in range(len(logits)):
            logits[c] += float(pool.shift[pattern][c]) if pattern in pool.shift else 0.0
            for m in spoken:
                own = float(pool.own[pattern][m]) if pattern in pool.own else 0.0
                weight = np.exp(pool.trust[m] + pool.size[len(spoken) - 1] + own)
                logits[c] += weight * (np.log(opinion[m, c]) - np.log(pool.prior[c]))
        out.append(logits)
    return np.array(out)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_the_pool_equals_a_plain_loop_and_answers_every_pattern(n: int) -> None:
    pool = unfitted(_names(1), np.array([0.5, 0.3, 0.2])) if n == 1 else _pool(n)
    opinions, present = _asked(n)
    logits = pool.logits(opinions, present)
    np.testing.assert_allclose(logits, _plain_loop(pool, opinions, present), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(softmax(logits[0]), pool.prior)


@pytest.mark.parametrize("junk", [0.0, np.nan, 1e9])
def test_the_pool_never_looks_at_what_an_absent_expert_said(junk: float) -> None:
    pool, (opinions, present) = _pool(4), _asked(4)
    before = pool.logits(opinions, present)
    opinions[~present] = junk
    np.testing.assert_array_equal(pool.logits(opinions, present), before)


def test_the_pool_permutes_with_its_cases_and_does_not_see_the_batch() -> None:
    pool, (opinions, present) = _pool(4), _asked(4)
    many, order = pool.logits(opinions, present), np.random.default_rng(0).permutation(16)
    np.testing.assert_array_equal(pool.logits(opinions[order], present[order]), many[order])
    for k in range(16):
        np.testing.assert_allclose(pool.logits(opinions[k : k + 1], present[k : k + 1])[0], many[k], rtol=1e-12)


def test_certain_experts_and_no_rows_leave_the_pool_finite() -> None:
    pool = _pool(2)
    certain = np.array([[[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]])
    assert np.isfinite(pool.logits(certain, np.ones((1, 2), bool))).all()
    assert pool.logits(np.zeros((0, 2, 3)), np.zeros((0, 2), bool)).shape == (0, 3)


@pytest.mark.parametrize(("n", "expected"), [(1, 1), (3, 7), (8, 255)])
def test_subsets_are_all_and_only_those_of_what_is_present(n: int, expected: int) -> None:
    present = np.zeros(12, dtype=bool)
    present[2 : 2 + n] = True
    found = subsets(present)
    assert len(found) == len(np.unique(found, axis=0)) == expected
    assert not (found & ~present).any()
    assert found.any(axis=1).all()
    np.testing.assert_array_equal(found[0], present)


def test_beyond_eight_modalities_subsets_are_sampled_with_the_whole_first() -> None:
    found = subsets(np.ones(12, dtype=bool), most=64, seed=3)
    assert found[0].all()
    assert 1 < len(found) <= 65
    np.testing.assert_array_equal(found, subsets(np.ones(12, dtype=bool), most=64, seed=3))


@quick
@given(
    logits=arrays(float, (6, 2), elements=st.floats(-30, 30)),
    base=st.floats(-3, 3),
    size=arrays(float, 2, elements=st.floats(-3, 3)),
    own=st.floats(-3, 3),
)
def test_calibration_keeps_the_ranking_within_a_pattern(logits: Array, base: float, size: Array, own: float) -> None:
    temperatures = Temperatures(("b", "a"), base, size, {("a", "b"): own})
    for pattern in ([True, False], [False, True], [True, True]):
        p = temperatures.probabilities(logits, np.tile(pattern, (6, 1)))
        np.testing.assert_allclose(p.sum(axis=1), 1)
        odds = logits[:, 1] - logits[:, 0]
        order, clear = np.argsort(odds), np.abs(odds) > 1e-9
        assert (np.diff(p[order, 1]) >= 0).all()
        np.testing.assert_array_equal(p.argmax(axis=1)[clear], (odds > 0)[clear])


def test_calibration_leaves_the_prior_alone_and_treats_patterns_apart() -> None:
    temperatures = Temperatures(("b", "a"), 0.5, np.array([0.1, 0.2]), {("a",): 1.0})
    present = np.array([[False, False], [True, False], [False, True], [True, True]])
    np.testing.assert_allclose(temperatures.log_temperature(present), [0.0, 0.6, 1.6, 0.7])


@pytest.mark.parametrize("level", [51, 55, 58, 80, 90, 95, 99])
def test_a_conformal_threshold_equals_the_textbook_order_statistic(level: int) -> None:
    rng = np.random.default_rng(level)
    for n in range(120):
        scores = rng.random(n).round(2)  # with ties
        place = ceil((n + 1) * Fraction(level, 100))
        expected = sorted(scores)[place - 1] if place <= n else 1.0
        assert conformal_quantile(scores, np.ones(n), level / 100) == expected, n


@quick
@given(st.lists(st.tuples(st.integers(0, 8), st.floats(0, 1)), min_size=1, max_size=40))
def test_several_cases_of_a_patient_weigh_as_one(cases: list[tuple[int, float]]) -> None:
    who, scores = np.array([w for w, _ in cases]), np.array([s for _, s in cases])
    once = conformal_quantile(scores, per_patient(who), 0.6)
    thrice = conformal_quantile(np.tile(scores, 3), per_patient(np.tile(who, 3)), 0.6)
    assert once == thrice
    n = len(set(who))
    inside = sum(np.mean(scores[who == w] <= once) for w in set(who))
    assert once == 1.0 or inside >= (n + 1) * 0.6 - 1e-6


def test_prediction_sets_cover_exchangeable_cases_in_every_pattern() -> None:
    """3 classes, two patterns of unlike confidence: pattern-blind thresholds would fail the second."""
    rng = np.random.default_rng(0)
    names, level, hits = ("a", "b"), 0.8, {True: [], False: []}

    def drawn(n: int, sharp: bool) -> tuple[Array, Array]:
        truth = rng.dirichlet(np.full(3, 0.3 if sharp else 3.0), n)
        y = (truth.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
        return softmax(3.0 * np.log(truth + 1e-9)), y  # over-confident on purpose: coverage must not need calibration

    for _ in range(60):
        of = {}
        for sharp, pattern in ((True, ("a",)), (False, ("a", "b"))):
            p, y = drawn(99, sharp)
            of[pattern] = single(float(conformal_quantile(1 - p[np.arange(99), y], np.ones(99), level)), 99)
        sets = Thresholds(names, level, of, {}, single(1.0, 0), (level,))
        for sharp in (True, False):
            p, y = drawn(100, sharp)
            inside = sets.sets(p, np.tile([True, not sharp], (100, 1)))
            assert inside.any(axis=1).all(), "a set is never empty"
            hits[sharp].append(inside[np.arange(100), y].mean())
    for sharp in (True, False):
        # Coverage of one draw has spread sqrt(.8*.2/101 + .8*.2/100); 60 draws bring that to 0.007.
        assert level - 0.02 < np.mean(hits[sharp])
    assert np.mean(hits[False]) < level + 0.03


def test_a_rare_pattern_borrows_the_threshold_of_its_size_and_then_of_all() -> None:
    sets = Thresholds(("a", "b", "c"), 0.9, {("a",): single(0.1, 50)}, {2: single(0.2, 80)}, single(0.3, 200), (0.9,))
    rules = [sets.of(p) for p in (("a",), ("a", "b"), ("c",))]
    assert [(rule.n, rule.source) for rule in rules] == [(50, "pattern"), (80, "size"), (200, "all")]
