"""What is fitted on opinions: weights follow what experts are worth, and the best single one is the best."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from clinic_mm.cohort.split import UNLABELLED
from clinic_mm.training.methods import late
from tests.training.methods.opinions import lesson, nll, of_opinions


def test_the_best_single_modality_is_the_one_that_tells_most_over_all_cases() -> None:
    assert late.best_single(lesson([0.3, 2.0, 0.6]), {}).weights.tolist() == [0.0, 1.0, 0.0]
    known = lesson([1.0, 2.0], missing=0.0)
    rare = known.heard.present.copy()
    rare[:, 1] = np.arange(len(rare)) < 20
    seldom = of_opinions(known.heard.opinions[..., 1], rare, known.labels)
    assert late.best_single(seldom, {}).weights.tolist() == [1.0, 0.0]


def test_two_weights_are_where_a_search_of_the_penalised_likelihood_finds_them() -> None:
    given = lesson([0.7, 1.6], missing=0.0)
    found = late.weighted(given, {}).weights
    assert found.sum() == pytest.approx(1.0)
    p = given.heard.opinions[np.arange(len(given.labels)), :, given.labels]

    def loss(half: float) -> float:
        w = np.exp([-half, half]) / np.exp([-half, half]).sum()
        return float(-np.log(p @ w).sum() + half**2 / late.WEIGHT_SD**2)

    native_only = replace(given)
    table = late.second_level(native_only)
    alone = table.rows.weight[~table.rows.native].sum()
    best = minimize_scalar(loss, bounds=(-5, 5), method="bounded").x
    # A masked row has one expert, whose weight is then 1 whatever it is: it says nothing of the weights.
    assert alone > 0
    assert found[1] == pytest.approx(1 / (1 + np.exp(-2 * best)), abs=1e-4)
    assert found[1] > 0.6


def test_weights_of_nothing_to_choose_between_stay_equal() -> None:
    given = lesson([1.0], n=100)
    both = of_opinions(np.repeat(given.heard.opinions[:, 0, 1:], 2, axis=1), np.ones((100, 2), bool), given.labels)
    np.testing.assert_allclose(late.weighted(both, {}).weights, [0.5, 0.5], atol=1e-6)


def test_independent_experts_are_pooled_better_than_they_are_averaged() -> None:
    given, new = lesson([1.0, 1.0, 1.0]), lesson([1.0, 1.0, 1.0], seed=9)
    case, present = np.arange(len(new.labels)), new.heard.present
    scores = {
        name: nll(fit(given, {}).logits(new.heard, case, present), new.labels)
        for name, fit in (("pool", late.log_pool), ("average", late.average), ("prior", late.prior))
    }
    assert scores["pool"] < scores["average"] < scores["prior"] == pytest.approx(np.log(2))


def test_a_class_with_one_patient_still_gives_a_pool() -> None:
    given = lesson([1.0, 1.0], n=40)
    y = np.zeros(40, dtype=int)
    y[0] = 1
    assert late.log_pool(replace(given, labels=y), {}).pool.trust.tolist() == [0.0, 0.0]


def test_cases_without_a_label_are_not_learnt_from() -> None:
    given = lesson([0.5, 1.5], n=300)
    few = replace(given, rows=np.arange(100))
    hidden = replace(given, labels=np.where(np.arange(300) < 100, given.labels, UNLABELLED))
    np.testing.assert_array_equal(late.weighted(hidden, {}).weights, late.weighted(few, {}).weights)
