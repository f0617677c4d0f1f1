"""Shares of modalities and of pairs: their theorems, their plain definitions, and how far off sampled ones are."""

from itertools import combinations, permutations
from math import comb

import numpy as np
import pytest
from numpy import ndarray as Array

from clinic_mm.predict.attribute import Game, game_of, worth

Set = frozenset[str]


def names(m: int) -> tuple[str, ...]:
    return tuple("edcbahgfjilk"[:m])


def whole_game(m: int) -> Game:
    return game_of(names(m), np.ones(m, bool))


def values_of(game: Game, value: dict[Set, float]) -> Array:
    return np.array([[value[frozenset(np.array(game.names)[mask])] for mask in game.masks]])


def drawn(m: int, seed: int = 0) -> dict[Set, float]:
    rng = np.random.default_rng(seed)
    return {frozenset(s): float(rng.normal()) for k in range(m + 1) for s in combinations(names(m), k)}


def by_orders(value: dict[Set, float], name: str, m: int) -> float:
    """Shapley 1953: the mean of what one adds over all orders of joining."""
    gains = []
    for order in permutations(names(m)):
        before = frozenset(order[: order.index(name)])
        gains.append(value[before | {name}] - value[before])
    return float(np.mean(gains))


def by_definition(value: dict[Set, float], i: str, j: str, m: int) -> float:
    """Sundararajan et al. 2020: (2 / m) sum over S without both of delta_ij(S) / C(m - 1, |S|)."""
    others = [n for n in names(m) if n not in {i, j}]
    total = 0.0
    for size in range(m - 1):
        for some in combinations(others, size):
            s = frozenset(some)
            delta = value[s | {i, j}] - value[s | {i}] - value[s | {j}] + value[s]
            total += delta / comb(m - 1, size)
    return 2 * total / m


@pytest.mark.parametrize("m", [0, 1, 2, 3, 4, 5])
def test_shares_sum_to_the_whole_and_equal_the_mean_over_all_orders(m: int) -> None:
    game, value = whole_game(m), drawn(m)
    share = game.shares(values_of(game, value)).share[0]
    assert game.exact
    assert abs(share.sum() - (value[frozenset(names(m))] - value[frozenset()])) < 1e-9
    np.testing.assert_allclose(share, [by_orders(value, name, m) for name in game.names], atol=1e-9)


@pytest.mark.parametrize("m", [2, 3, 4, 5, 8])
def test_a_pair_is_its_definition_and_a_share_is_the_part_alone_plus_half_of_its_pairs(m: int) -> None:
    game, value = whole_game(m), drawn(m, 1)
    shares = game.shares(values_of(game, value))
    pairs = dict(zip(combinations(game.names, 2), shares.pair[0], strict=True))
    assert tuple("+".join(sorted(two)) for two in pairs) == game.pairs
    for (i, j), index in pairs.items():
        assert index == pytest.approx(by_definition(value, i, j, m))
    alone = {n: value[frozenset({n})] - value[frozenset()] for n in game.names}
    for name, share in zip(game.names, shares.share[0], strict=True):
        assert share == pytest.approx(alone[name] + sum(v for two, v in pairs.items() if name in two) / 2)
    assert sum(alone.values()) + shares.pair.sum() == pytest.approx(value[frozenset(names(m))] - value[frozenset()])


def test_one_who_adds_nothing_gets_nothing_and_twins_share_what_they_both_tell() -> None:
    game = game_of(("a", "b", "idle"), np.ones(3, bool))
    value = {frozenset(s): float(bool({"a", "b"} & set(s))) for k in range(4) for s in combinations(game.names, k)}
    shares = game.shares(values_of(game, value))
    np.testing.assert_allclose(shares.share, [[0.5, 0.5, 0.0]], atol=1e-12)
    np.testing.assert_allclose(shares.pair, [[-1.0, 0.0, 0.0]], atol=1e-12)  # each would have said all of it


def test_many_cases_at_once_are_as_one_by_one_and_the_order_of_modalities_changes_no_share() -> None:
    game, rng = whole_game(4), np.random.default_rng(3)
    values = rng.normal(size=(7, 16))
    many = game.shares(values)
    for k in range(7):
        np.testing.assert_allclose(game.shares(values[[k]]).share[0], many.share[k], atol=1e-12)
    value = drawn(4)
    other = game_of(tuple(reversed(names(4))), np.ones(4, bool))
    first, second = (g.shares(values_of(g, value)).share[0] for g in (game, other))
    np.testing.assert_allclose(first, second[::-1], atol=1e-12)


def test_a_game_is_of_what_is_present_alone() -> None:
    game = game_of(("a", "b", "c"), np.array([True, False, True]))
    assert game.names == ("a", "c")
    assert game.masks.tolist() == [[1, 0, 1], [0, 0, 1], [1, 0, 0], [0, 0, 0]]
    assert game.keys == ("a+c", "c", "a", "")


def test_beyond_eight_the_whole_all_but_one_and_nothing_are_kept() -> None:
    game = whole_game(10)
    kept = game.masks[game.kept]
    assert not game.exact
    assert kept.sum(axis=1).tolist() == [10, *[9] * 10, 0]
    assert {frozenset(key.split("+")) for key in game.keys[1:-1]} == {frozenset(names(10)) - {n} for n in names(10)}
    assert game.pairs == ()


def test_sampled_shares_sum_to_the_whole_and_are_exact_where_no_order_matters() -> None:
    game, weight = whole_game(12), np.random.default_rng(0).normal(size=12)
    shares = game.shares((game.masks @ weight)[None])
    np.testing.assert_allclose(shares.share[0], weight, atol=1e-9)
    np.testing.assert_allclose(shares.error, 0, atol=1e-9)
    value = np.random.default_rng(1).normal(size=(3, len(game.masks)))
    np.testing.assert_allclose(game.shares(value).share.sum(axis=1), value[:, 0] - value[:, -1], atol=1e-9)


def test_the_error_that_is_stated_is_the_error_that_is_made() -> None:
    # A game of pairs and triples over nine, whose true shares are known: a bundle is shared by those in it.
    game, rng = whole_game(9), np.random.default_rng(5)
    bundles = [rng.choice(9, size=size, replace=False) for size in (2, 3, 3, 3, 4, 4) for _ in range(40)]
    worths = rng.normal(size=(200, len(bundles)))
    complete = np.stack([game.masks[:, b].all(axis=1) for b in bundles])
    truth = sum(np.outer(w, np.isin(range(9), b) / len(b)) for w, b in zip(worths.T, bundles, strict=True))
    shares = game.shares(worths @ complete)
    off = (shares.share - truth) / shares.error
    assert 0.8 < float(np.sqrt((off**2).mean())) < 1.25


def test_worth_is_the_log_odds_or_the_centred_log_probability() -> None:
    two = worth(np.array([[[0.5, 0.5], [0.2, 0.8]]]), np.array([0]))
    np.testing.assert_allclose(two, [[0.0, np.log(4)]])
    three = worth(np.array([[[0.2, 0.3, 0.5]]]), np.array([2]))
    np.testing.assert_allclose(three, [[np.log(0.5) - np.log([0.2, 0.3, 0.5]).mean()]])
