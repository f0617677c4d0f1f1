"""Ranks are uniform, bets are fair, and the bound on false alarms holds whatever the reference."""

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.special import ndtr
from scipy.stats import kstest, norm

from clinic_mm.evaluate.monitor.detect import began, bets_on_ranks, watch
from clinic_mm.evaluate.monitor.ranks import coins, p_values

SHIFTS, SPREADS = (0.5, 1.0, 2.0), (0.5, 2.0)


def test_ranks_are_those_of_the_definition_with_ties_and_gaps() -> None:
    rng = np.random.default_rng(5)
    reference, x, coin = rng.integers(0, 5, 50).astype(float), rng.integers(0, 5, 600).astype(float), rng.random(600)
    x[::7] = np.nan
    found, bag = p_values(reference, x, coin), list(reference)
    for value, own, p in zip(x, coin, found, strict=True):
        if np.isnan(value):
            assert np.isnan(p)
            continue
        bag.append(value)
        every = np.array(bag)
        assert p == pytest.approx(((every < value).sum() + own * (every == value).sum()) / len(every))


@pytest.mark.parametrize("draw", ["normal", "heavy", "share"])
def test_ranks_of_a_quiet_stream_are_uniform_for_a_small_reference_of_any_shape(draw: str) -> None:
    rng, found = np.random.default_rng(1), []
    for _ in range(60):
        x = {"normal": rng.normal(size=130), "heavy": rng.standard_cauchy(130), "share": rng.random(130) < 0.7}[draw]
        found.append(p_values(x[:30].astype(float), x[30:].astype(float), rng.random(100)))
    assert kstest(np.concatenate(found), "uniform").pvalue > 0.01


def test_every_bet_on_ranks_is_fair() -> None:
    z = np.linspace(-7.5, 7.5, 4001)
    pay = bets_on_ranks(ndtr(z), SHIFTS, SPREADS)
    assert trapezoid(pay * norm.pdf(z)[:, None], z, axis=0) == pytest.approx(np.ones(8), abs=1e-3)


def test_evidence_grows_as_the_equation_says_and_stands_still_where_nothing_is_seen() -> None:
    e = np.random.default_rng(2).uniform(0.5, 2, (40, 3, 2))
    e[10:20, 1] = np.nan
    found = watch(e, np.array([1e9, 1e9, 1e9])).evidence * 1e9
    for k in range(3):
        r = np.zeros(2)
        for t in range(40):
            r = r if np.isnan(e[t, k]).any() else (1 + r) * e[t, k]
            assert found[t, k] == pytest.approx(r.mean())


def test_quiet_streams_reach_the_threshold_no_more_often_than_promised() -> None:
    rng, steps, streams, threshold = np.random.default_rng(3), 400, 300, 4000.0
    p = np.stack([p_values(rng.normal(size=60), rng.normal(size=steps), rng.random(steps)) for _ in range(streams)], 1)
    e = np.stack([bets_on_ranks(column, SHIFTS, SPREADS) for column in p.T], axis=1)
    reached = watch(e, np.full(streams, threshold)).alarm.any(axis=0).sum()
    assert reached <= streams * steps / threshold + 3 * np.sqrt(streams * steps / threshold)


def test_an_alarm_is_given_once_or_again_after_a_restart_and_finds_where_it_began() -> None:
    rng = np.random.default_rng(4)
    values = np.r_[rng.normal(size=300), rng.normal(1.5, 1.0, 200)]
    e = bets_on_ranks(p_values(rng.normal(size=1000), values, rng.random(500)), SHIFTS, SPREADS)[:, None]
    once, again = (watch(e, np.array([1e4]), restart=how).alarm[:, 0] for how in (False, True))
    assert once.sum() == 1
    assert again.sum() > 1
    at = int(once.argmax())
    assert 300 <= at < 360
    assert abs(began(e[:, 0], at) - 300) < 25


def test_coins_are_those_of_the_case_and_the_score() -> None:
    keys = np.array(["a", "b", "c"])
    np.testing.assert_array_equal(coins(keys, "s")[[2, 0]], coins(keys[[2, 0]], "s"))
    assert (coins(keys, "s") != coins(keys, "t")).all()
    many = coins(np.array([str(k) for k in range(2000)]), "s")
    assert kstest(many, "uniform").pvalue > 0.01
