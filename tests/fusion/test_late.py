"""Late fusion equals its equations for every subset, and renormalises over whoever is present."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from numpy import ndarray as Array

from clinic_mm.fusion.heard import Heard
from clinic_mm.fusion.joined import Joined, restored
from clinic_mm.fusion.late import Pooled, Vote, Weighted
from clinic_mm.fusion.pool import LogPool

PRIOR = np.array([0.5, 0.3, 0.2])
each_number = pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])


def names_of(n: int) -> tuple[str, ...]:
    return tuple(f"m{k}" for k in range(n))


def heard(opinions: Array, present: Array) -> Heard:
    names, times = names_of(present.shape[1]), np.full(present.shape, np.nan)
    return Heard(names, {}, opinions, present, times, {})


def every_subset(n: int, seed: int = 0) -> tuple[Array, Array]:
    """Opinions of one case for each subset, the empty one too."""
    present = np.array(list(product([False, True], repeat=n)))
    return np.random.default_rng(seed).dirichlet(np.ones(3), (len(present), n)), present


def _agrees(joined: Joined, n: int, by_hand: Callable[[dict[int, Array]], list[float]]) -> None:
    opinions, present = every_subset(n)
    logits = joined.logits(heard(opinions, present), np.arange(len(present)), present)
    for row, here in enumerate(present):
        said = {m: opinions[row, m] for m in range(n) if here[m]}
        expected = by_hand(said) if said else PRIOR
        np.testing.assert_allclose(np.exp(logits[row]), expected, rtol=1e-5, err_msg=str(here.tolist()))


@each_number
def test_weights_are_renormalised_over_the_present(n: int) -> None:
    weights = np.arange(1.0, n + 1)

    def by_hand(said: dict[int, Array]) -> list[float]:
        total = sum(weights[m] for m in said)
        return [sum(weights[m] * p[c] for m, p in said.items()) / total for c in range(3)]

    _agrees(Weighted(names_of(n), PRIOR, weights), n, by_hand)


@each_number
def test_equal_weights_are_the_average_one_weight_a_single_modality_and_none_the_prior(n: int) -> None:
    names = names_of(n)
    _agrees(Weighted(names, PRIOR, np.ones(n)), n, lambda said: list(np.mean(list(said.values()), axis=0)))
    _agrees(Weighted(names, PRIOR, np.eye(n)[n - 1]), n, lambda said: list(said.get(n - 1, PRIOR)))
    _agrees(Weighted(names, PRIOR, np.zeros(n)), n, lambda said: list(PRIOR))


@each_number
def test_votes_are_counted_and_the_mean_opinion_is_one_more(n: int) -> None:
    def by_hand(said: dict[int, Array]) -> list[float]:
        votes = [0.0, 0.0, 0.0]
        for p in said.values():
            votes[max(range(3), key=lambda c, p=p: p[c])] += 1
            votes = [v + x / len(said) for v, x in zip(votes, p, strict=True)]
        return [v / (len(said) + 1) for v in votes]

    _agrees(Vote(names_of(n), PRIOR), n, by_hand)


def _voted(*opinions: list[float]) -> int:
    given = np.array([opinions])
    present = np.ones((1, len(opinions)), dtype=bool)
    return int(Vote(names_of(len(opinions)), PRIOR).logits(heard(given, present), np.array([0]), present).argmax())


def test_the_majority_wins_however_sure_the_others_are_and_ties_go_to_the_surer_side() -> None:
    assert _voted([0.0, 1.0, 0.0], [0.4, 0.3, 0.3], [0.4, 0.3, 0.3]) == 0
    assert _voted([0.0, 1.0, 0.0], [0.6, 0.4, 0.0]) == 1
    assert _voted([0.2, 0.6, 0.2], [0.6, 0.2, 0.2]) == 0


@each_number
def test_the_log_pool_is_the_same_as_by_itself(n: int) -> None:
    rng = np.random.default_rng(0)
    pattern = names_of(n)[:2]
    pool = LogPool(names_of(n), PRIOR, rng.normal(size=n), rng.normal(size=n), {pattern: rng.normal(size=n)}, {})
    opinions, present = every_subset(n)
    joined = Pooled(names_of(n), PRIOR, pool).logits(heard(opinions, present), np.arange(len(present)), present)
    np.testing.assert_array_equal(joined, pool.logits(opinions, present))


def test_what_is_absent_may_be_anything_and_state_keeps_every_bit() -> None:
    opinions, present = every_subset(3)
    own = {("m0", "m1"): np.array([0.1, 0.2, 1 / 3])}
    pool = LogPool(names_of(3), PRIOR, np.array([0.1, 1 / 3, 2.0]), np.zeros(3), own, own)
    names, case = names_of(3), np.arange(len(present))
    for joined in (
        Weighted(names, PRIOR, np.array([0.1, 1 / 3, 2.0])),
        Vote(names, PRIOR),
        Pooled(names, PRIOR, pool),
    ):
        logits = joined.logits(heard(opinions, present), case, present)
        junk = np.where(present[..., None], opinions, np.nan)
        np.testing.assert_array_equal(joined.logits(heard(junk, present), case, present), logits)
        again = restored(joined.kind, *joined.to_state())
        np.testing.assert_array_equal(again.logits(heard(opinions, present), case, present), logits)
