"""Laws that every method of `schemas/methods.toml` keeps once fitted: they hold for whoever adds a row."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import orjson
import pytest
from numpy import ndarray as Array
from safetensors.numpy import load, save

from clinic_mm.cohort.split import folds
from clinic_mm.fusion.heard import Heard
from clinic_mm.fusion.joined import Joined, restored
from clinic_mm.predict.model import heard_of
from clinic_mm.prep.batch import PreparedCases
from clinic_mm.training.methods import network
from clinic_mm.training.methods.base import Lesson, methods
from tests import made

KINDS = ("record", "note", "xray")
PRIOR = np.array([0.5, 0.5])
N = 90
each_method = pytest.mark.parametrize("name", sorted(methods()))


@pytest.fixture(scope="module", autouse=True)
def _few_steps() -> Iterator[None]:
    """Laws hold after few steps as after many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "FEWEST_STEPS", 8)
        patch.setattr(network, "MOST_STEPS", 8)
        yield


@cache
def prepared() -> PreparedCases:
    return made.prepared(KINDS, N, missing=0.3)


@cache
def heard() -> Heard:
    """Cases whose plain summaries and opinions tell the class."""
    cases = prepared()
    tell = np.random.default_rng(1).normal(1.2 * (2 * cases.labels[:, None] - 1), 1.0, cases.present.shape)
    positive = 1 / (1 + np.exp(-np.where(cases.present, tell, 0.0)))
    return heard_of(cases, np.stack([1 - positive, positive], axis=2), {})


def lesson() -> Lesson:
    cases = prepared()
    fold = folds(cases.patients.tolist(), cases.labels.tolist(), 3, 0)
    rows = np.flatnonzero((fold != 0) & cases.present.any(axis=1))
    return Lesson(heard(), cases.labels, cases.patients, PRIOR, rows, made.task(KINDS), seed=0)


@cache
def fitted(name: str) -> Joined:
    return methods()[name].learn(lesson())


def asked() -> tuple[Array, Array]:
    """Every subset of every fifth case, the empty one too."""
    case, present = [], []
    for index in range(0, N, 5):
        for mask in np.ndindex(2, 2, 2):
            if not (np.array(mask, bool) & ~heard().present[index]).any():
                case.append(index)
                present.append(np.array(mask, bool))
    return np.array(case), np.array(present)


@each_method
def test_every_subset_is_answered_and_nothing_gives_the_prior(name: str) -> None:
    case, present = asked()
    logits = fitted(name).logits(heard(), case, present)
    assert logits.shape == (len(case), 2)
    assert np.isfinite(logits).all()
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(p[~present.any(axis=1)], np.tile(PRIOR, ((~present.any(axis=1)).sum(), 1)), atol=1e-6)


@each_method
def test_what_does_not_speak_is_not_looked_at(name: str) -> None:
    case, present = asked()
    before = fitted(name).logits(heard(), case, present)
    for column, kind in enumerate(KINDS):
        silent = ~present[:, column]
        junk = {**heard().plain, kind: np.full_like(heard().plain[kind], 1e9)}
        opinions = heard().opinions.copy()
        opinions[:, column] = [0.001, 0.999]
        times = heard().time_h.copy()
        times[:, column] = 1e6
        other = replace(heard(), plain=junk, opinions=opinions, time_h=times)
        after = fitted(name).logits(other, case, present)
        np.testing.assert_allclose(after[silent], before[silent], rtol=1e-6, atol=1e-6)


@each_method
def test_one_row_equals_its_row_among_many_and_order_is_free(name: str) -> None:
    case, present = asked()
    many = fitted(name).logits(heard(), case, present)
    turn = np.random.default_rng(0).permutation(len(case))
    np.testing.assert_allclose(
        fitted(name).logits(heard(), case[turn], present[turn]), many[turn], rtol=1e-5, atol=1e-5
    )
    for r in (0, 3, len(case) - 1):
        one = fitted(name).logits(heard(), case[[r]], present[[r]])
        np.testing.assert_allclose(one[0], many[r], rtol=1e-5, atol=1e-5)
    assert fitted(name).logits(heard(), case[:0], present[:0]).shape == (0, 2)


@each_method
def test_save_and_load_give_the_same_bits(name: str) -> None:
    case, present = asked()
    told, arrays = fitted(name).to_state()
    assert all(isinstance(a, np.ndarray) for a in arrays.values())
    kept = (
        orjson.dumps(told, option=orjson.OPT_SORT_KEYS),
        save({k: np.ascontiguousarray(a) for k, a in arrays.items()}),
    )
    again = restored(fitted(name).kind, orjson.loads(kept[0]), load(kept[1]))
    told, arrays = again.to_state()
    assert orjson.dumps(told, option=orjson.OPT_SORT_KEYS) == kept[0]
    assert save({k: np.ascontiguousarray(a) for k, a in arrays.items()}) == kept[1]
    np.testing.assert_array_equal(again.logits(heard(), case, present), fitted(name).logits(heard(), case, present))


@each_method
def test_the_same_seed_learns_the_same_whatever_other_rows_hold(name: str) -> None:
    """Learnt once more with the rows altered that may not be learnt from: not a bit may move."""
    given = lesson()
    away = np.setdiff1d(np.arange(N), given.rows)
    labels, plain = given.labels.copy(), {k: v.copy() for k, v in given.heard.plain.items()}
    labels[away] = 1 - labels[away]
    opinions = given.heard.opinions.copy()
    opinions[away] = opinions[away][..., ::-1]
    for values in plain.values():
        values[away] *= 3
    other = replace(given, labels=labels, heard=replace(given.heard, plain=plain, opinions=opinions))
    case, present = asked()
    after = methods()[name].learn(other).logits(heard(), case, present)
    np.testing.assert_array_equal(after, fitted(name).logits(heard(), case, present))


@each_method
def test_cost_counts_something(name: str) -> None:
    cost = fitted(name).cost()
    assert cost.parameters >= 0
    assert cost.multiply_adds >= 0


@each_method
def test_a_row_says_what_it_is(name: str) -> None:
    row = methods()[name]
    assert row.equation
    assert row.absent
    assert row.label
    has_source = "arXiv" in row.paper or "doi:" in row.paper or row.family in {"late", "baseline", "hybrid"}
    assert has_source, "a paper with its arXiv or doi: number"
