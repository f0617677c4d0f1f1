import numpy as np
import pytest
from scipy.special import expit, ndtr
from sklearn.metrics import roc_auc_score

from clinic_mm.simulate.latent import MECHANISMS, Draws, Missing, World, draw
from clinic_mm.simulate.limit import Generator, Limit, auc, exact_auc, limit_of, log_odds


def native(world: World, n: int, seed: int = 0) -> Draws:
    draws = draw(world, np.random.default_rng(seed), n)
    some = draws.present.any(axis=1)
    return Draws(draws.y[some], draws.e[some], draws.v[some], draws.present[some])


def test_auc_is_scikit_learns_with_ties_and_weights() -> None:
    rng = np.random.default_rng(0)
    y, score, weight = rng.integers(0, 2, 500), rng.integers(0, 9, 500).astype(float), rng.random(500)
    assert auc(score, y, weight) == pytest.approx(roc_auc_score(y, score, sample_weight=weight))


def test_mcar_is_the_closed_form() -> None:
    limit = limit_of(World(), seed=0, cases=10)
    assert limit.method == "exact"
    assert limit.of(("ct",)) == pytest.approx(ndtr(1 / np.sqrt(2)), abs=1e-6)
    together = np.sqrt(1.0**2 + 3 * 0.9**2)
    assert limit.of(("record", "ct", "xray", "eeg")) == pytest.approx(ndtr(together / np.sqrt(2)), abs=1e-6)
    assert sum(row.share for row in limit.patterns) == pytest.approx(1, abs=1e-4)
    assert all(row.auc_limit <= row.auc_latent for row in limit.patterns if row.auc_latent is not None)


@pytest.mark.parametrize("subset", [("note",), ("ct", "note"), ("xray", "record")])
def test_the_exact_limit_is_that_of_the_generators_own_score(subset: tuple[str, ...]) -> None:
    world = World(subset)
    draws = draw(world, np.random.default_rng(1), 400_000)
    everything = np.ones((len(subset), 1), dtype=bool)
    drawn = auc(Generator(world, draws.v).log_odds(everything), draws.y)
    assert exact_auc(world, tuple(range(len(subset)))) == pytest.approx(drawn, abs=0.003)


@pytest.mark.parametrize("missing", MECHANISMS)
@pytest.mark.parametrize("synergy", [False, True])
def test_the_generators_odds_are_calibrated_in_every_pattern(missing: Missing, synergy: bool) -> None:
    world = World(("ct", "xray", "note"), missing, 0.4, synergy)
    draws = native(world, 300_000)
    p = expit(log_odds(world, draws.v, draws.present))
    for pattern in np.unique(draws.present, axis=0):
        rows = (draws.present == pattern).all(axis=1)
        order = np.argsort(p[rows])
        for part in np.array_split(order, 5):
            expected, seen = p[rows][part], draws.y[rows][part]
            error = np.sqrt((expected * (1 - expected)).sum()) / len(part)
            assert abs(expected.mean() - seen.mean()) < 4.5 * error


@pytest.mark.parametrize("missing", ["MAR", "MNAR"])
def test_a_patterns_limit_is_the_auc_of_its_native_cases(missing: Missing) -> None:
    world = World(("ct", "record"), missing, 0.3)
    limit = limit_of(world, seed=0, cases=10)
    draws = native(world, 300_000, seed=9)
    score = log_odds(world, draws.v, draws.present)
    for row in limit.patterns:
        rows = (draws.present == [m in row.modalities for m in world.modalities]).all(axis=1)
        assert row.auc_limit == pytest.approx(auc(score[rows], draws.y[rows]), abs=0.012)
        assert row.share == pytest.approx(rows.mean(), abs=0.01)


def test_xor_speaks_only_where_both_are_seen() -> None:
    plain, joint = (limit_of(World(("ct", "xray"), rate=0.3, synergy=s), seed=0, cases=10) for s in (False, True))
    assert joint.of(("ct",)) < plain.of(("ct",))
    draws = draw(World(("ct", "xray"), rate=0.0, synergy=True), np.random.default_rng(0), 100_000)
    assert joint.of(("ct", "xray")) > auc(draws.v @ [1.0, 0.9], draws.y) + 0.05


def test_without_missing_only_the_full_pattern_stands() -> None:
    limit = limit_of(World(missing="MNAR", rate=0.0), seed=0, cases=10)
    assert [len(row.modalities) for row in limit.patterns] == [5]
    assert Limit.model_validate_json(limit.model_dump_json()) == limit
    assert limit.simulated is True
