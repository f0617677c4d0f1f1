"""A fitted deep Boltzmann machine on prepared cases: words are counted, vectors find the same case, nobody is zero."""

from functools import cache
from typing import cast

import numpy as np
import pytest
from numpy import ndarray as Array

from clinic_mm.colearning.boltzmann.learn import Plan
from clinic_mm.colearning.boltzmann.views import Standard, Words
from clinic_mm.colearning.embedding import Embedding
from clinic_mm.fusion.heard import Heard
from clinic_mm.predict.boltzmann import JoinedBoltzmann
from clinic_mm.training.methods.base import methods
from clinic_mm.training.methods.boltzmann import fit_space
from tests.laws import test_methods


@cache
def fitted() -> JoinedBoltzmann:
    return cast(JoinedBoltzmann, methods()["boltzmann"].learn(test_methods.lesson()))


def test_notes_are_counted_words_and_all_else_is_standardised() -> None:
    assert dict(zip(fitted().space.names, [type(v) for v in fitted().space.views], strict=True)) == {
        "record": Standard,
        "note": Words,
        "xray": Standard,
    }


def test_it_embeds_any_subset_and_nobody_is_zero() -> None:
    assert isinstance(fitted(), Embedding)
    case, present = test_methods.asked()
    vectors = fitted().embed(test_methods.heard(), case, present)
    nobody = ~present.any(axis=1)
    assert np.isfinite(vectors).all()
    assert (np.abs(vectors) <= 1).all()
    np.testing.assert_array_equal(vectors[nobody], 0.0)
    assert (np.abs(vectors[~nobody]).max(axis=1) > 0).all()


def _two_views(n: int) -> tuple[Heard, Array]:
    """Two views of four yes-or-no factors."""
    rng = np.random.default_rng(0)
    factors = (rng.random((n, 4)) < 0.5) * 1.0
    plain = {name: factors @ rng.normal(size=(4, 20)) + 0.5 * rng.normal(size=(n, 20)) for name in ("a", "b")}
    here, rows = np.ones((n, 2), bool), np.arange(n)
    return Heard(("a", "b"), plain, np.full((n, 2, 2), 0.5), here, np.zeros((n, 2)), {"a": rows, "b": rows}), factors


@pytest.fixture(scope="module")
def two_views() -> tuple[Heard, Array]:
    return _two_views(1000)


def test_a_view_that_is_not_there_is_imagined_from_the_other_and_found_by_it(two_views: tuple[Heard, Array]) -> None:
    heard, factors = two_views
    plan = Plan(first=32, second=16, joint=16, epochs=30, joint_epochs=15)
    space = fit_space(heard, np.arange(800), (), plan, np.random.default_rng(0))
    unseen = np.arange(800, 1000)
    a, b = (np.tile(np.array(mask), (200, 1)) for mask in ((True, False), (False, True)))
    imagined = space.imagined(heard, unseen, a, np.random.default_rng(0)).visible[1]
    truth = space.given(heard, unseen, b).visible[1]
    alike = [np.corrcoef(mine, theirs)[0, 1] for mine, theirs in zip(imagined.T, truth.T, strict=True)]
    assert np.mean(alike) > 0.5, "what is imagined follows what is there"

    query, answers = space.embed(heard, unseen, a), space.embed(heard, unseen, b)
    query, answers = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (query, answers))
    first = (query @ answers.T).argmax(axis=1)
    same = (factors[unseen] == factors[unseen[first]]).all(axis=1).mean()
    assert same > 4 / 16, "the nearest case in the other view has the same factors, 1 in 16 by chance"
