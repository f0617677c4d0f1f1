"""The formal guarantee: what is held out of all fitting moves nothing but thresholds, and these cover new patients."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from clinic_mm.predict.artifact import _files
from clinic_mm.predict.model import Model
from clinic_mm.predict.predictor import predict_cases
from clinic_mm.predict.seen import count_seen
from clinic_mm.prep.batch import PreparedCases
from clinic_mm.task import Task
from clinic_mm.training.fit import fit_model
from clinic_mm.training.split import SHARE, held_out
from clinic_mm.training.train import _fitted_on
from tests import made
from tests.quick import without_trees

KINDS = ("record", "note")


@pytest.fixture(scope="module", autouse=True)
def _no_trees() -> Iterator[None]:
    with without_trees():
        yield


def task(**sets: object) -> Task:
    return made.task(KINDS, train={"epochs": 0, "threads": 1}, sets=sets)


@pytest.fixture(scope="module")
def prepared() -> PreparedCases:
    return made.prepared(KINDS, 200, planted=0.7)


@pytest.fixture(scope="module")
def model(prepared: PreparedCases) -> Model:
    return fit_model(prepared, made.recipe(KINDS), task(guarantee="split"))


def test_patients_are_held_out_whole_and_only_where_asked_for(prepared: PreparedCases) -> None:
    aside = held_out(prepared.patients, prepared.labels, task(guarantee="split"))
    assert not set(prepared.patients[aside]) & set(prepared.patients[~aside])
    assert len(set(prepared.patients[aside])) == pytest.approx(SHARE * len(set(prepared.patients)), abs=2)
    order = np.random.default_rng(0).permutation(len(prepared))
    again = held_out(prepared.patients[order], prepared.labels[order], task(guarantee="split"))
    np.testing.assert_array_equal(again, aside[order])
    assert not held_out(prepared.patients, prepared.labels, task()).any()


def test_what_preparation_learns_from_is_what_the_rest_is_fitted_on(prepared: PreparedCases) -> None:
    asked = task(guarantee="split")
    aside = held_out(prepared.patients, prepared.labels, asked)
    expected = [case.case_key for case, out in zip(prepared.cases, aside, strict=True) if not out]
    assert [case.case_key for case in _fitted_on(prepared.cases, asked)] == expected
    assert _fitted_on(prepared.cases, task()) == prepared.cases


def test_other_evidence_and_outcomes_of_the_held_out_move_nothing_but_the_thresholds(
    prepared: PreparedCases, model: Model
) -> None:
    aside = held_out(prepared.patients, prepared.labels, task(guarantee="split"))
    plain = {name: np.where(aside[:, None], -3 * values, values) for name, values in prepared.plain.items()}
    other = fit_model(replace(prepared, plain=plain), made.recipe(KINDS), task(guarantee="split"))
    one, two = _files(model), _files(other)
    assert {name for name in one if one[name] != two[name]} - {"card.md"} == {"calibration.json"}
    for name in ("base", "size", "own"):
        np.testing.assert_array_equal(*(getattr(m.temperatures, name) for m in (model, other)))
    assert model.facts == other.facts
    assert not np.array_equal(model.thresholds.every.score, other.thresholds.every.score)


def test_whoever_was_held_out_counts_as_seen(prepared: PreparedCases, model: Model) -> None:
    assert count_seen(prepared.cases, model.facts) == len(prepared)
    assert model.facts["n_cases"] + model.facts["held_out"]["cases"] == len(prepared)  # type: ignore[operator,index,call-overload]


def test_new_patients_are_covered_and_the_promise_is_named(model: Model) -> None:
    new = made.prepared(KINDS, 400, planted=0.7, seed=9)
    predictions = predict_cases(model, "hash", new)
    own = [p.prediction_set for p in predictions if p.prediction_set.guarantee == "split"]
    assert all(not s.borrowed and s.n == s.n_exact for s in own)
    truth = [model.task.classes[y] for y in new.labels]
    held = np.mean([t in p.prediction_set.classes for t, p in zip(truth, predictions, strict=True)])
    assert held > 0.9 - 0.12, "50 calibration patients: the spread of the true coverage is 0.042"
