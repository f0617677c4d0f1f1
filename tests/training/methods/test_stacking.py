"""Stacking: it finds the right weights, knows subsets, and is fitted on opinions that did not see the case."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy import ndarray as Array
from sklearn.tree import DecisionTreeClassifier

from clinic_mm.predict.headed import Headed
from clinic_mm.training.learnt import learn
from clinic_mm.training.methods import late, stacking
from clinic_mm.training.methods.base import Lesson
from tests import made
from tests.training.methods.opinions import lesson, nll

each = pytest.mark.parametrize("fit", [stacking.linear, stacking.boosted])
Fit = Callable[[Lesson, dict[str, None]], Headed]


@each
def test_of_independent_experts_it_makes_what_bayes_makes(fit: Fit) -> None:
    """The sum of the log-odds is the best answer there is; the mean of the probabilities is far from it."""
    given, new = lesson([1.0, 1.4], n=1500), lesson([1.0, 1.4], n=1500, seed=5)
    case, present = np.arange(1500), new.heard.present
    odds = np.log(new.heard.opinions[..., 1] / new.heard.opinions[..., 0])
    total = np.where(present, odds, 0.0).sum(axis=1)
    best = nll(np.stack([np.zeros(1500), total], axis=1), new.labels)
    ours = nll(fit(given, {}).logits(new.heard, case, present), new.labels)
    average = nll(late.average(given, {}).logits(new.heard, case, present), new.labels)
    assert ours < best + 0.02 < average


@each
def test_it_answers_a_subset_that_no_training_case_is(fit: Fit) -> None:
    """Modality dropout: all cases are complete, and each expert alone is believed as far as it should be."""
    given, new = lesson([1.0, 1.0], n=1500, missing=0.0), lesson([1.0, 1.0], n=1500, missing=0.0, seed=5)
    case, alone = np.arange(1500), np.tile([True, False], (1500, 1))
    best = nll(np.log(new.heard.opinions[:, 0]), new.labels)
    assert nll(fit(given, {}).logits(new.heard, case, alone), new.labels) < best + 0.02


@cache
def _of_noise() -> tuple[Lesson, Array]:
    """What training makes of evidence that says nothing."""
    noise = np.random.default_rng(0).integers(0, 2, 120)
    cases = made.prepared(("record", "note"), 120, labels=noise, planted=0.0, missing=0.0)
    task = made.task(("record", "note"), train={"epochs": 0})
    return learn(cases, made.recipe(("record", "note")), task).lesson(None), noise


@each
def test_opinions_on_the_expert_s_own_training_cases_leak_and_those_of_a_lesson_do_not(fit: Fit) -> None:
    """Evidence that says nothing, and an expert that learns it by heart: only out of fold does its worth show."""
    honest, noise = _of_noise()
    by_heart = honest.heard.opinions.copy()
    for column, name in enumerate(honest.heard.names):
        x = np.nan_to_num(honest.heard.plain[name], nan=-1.0)
        by_heart[:, column] = DecisionTreeClassifier(random_state=0).fit(x, noise).predict_proba(x)
    assert (by_heart.argmax(axis=2) == noise[:, None]).mean() > 0.95  # in-fold it looks like an oracle
    assert abs((honest.heard.opinions.argmax(axis=2) == noise[:, None]).mean() - 0.5) < 0.15

    def on_new_patients(given: Lesson) -> float:
        """The expert meets patients it has not seen: it is as sure as ever, and right half of the time."""
        rng = np.random.default_rng(1)
        right = rng.random((120, 2)) < 0.5
        met = np.where(right[..., None], by_heart, by_heart[..., ::-1])
        new = replace(honest.heard, opinions=met)
        return nll(fit(given, {}).logits(new, np.arange(120), new.present), noise)

    assert on_new_patients(honest) < 0.8
    assert on_new_patients(replace(honest, heard=replace(honest.heard, opinions=by_heart))) > 1.5
