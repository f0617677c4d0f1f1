"""What preparation learns anew for a split is what it would have learnt of these cases alone."""

from dataclasses import dataclass

import numpy as np
import pytest

from clinic_mm.cohort.manifest import Cohort, open_cohort
from clinic_mm.prep.batch import PreparedCases, Recipe, fit_preps, plan_recipe, prepare_cases
from clinic_mm.prep.relearn import Relearn
from clinic_mm.task import Task, read_task
from clinic_mm.training.train import training_cases
from tests.conftest import Trained


@dataclass(frozen=True)
class Known:
    cohort: Cohort
    task: Task
    prepared: PreparedCases
    recipe: Recipe


@pytest.fixture(scope="module")
def known(trained: Trained) -> Known:
    """Few cases, so that some codes are common enough in all and not in a part."""
    cohort, task = open_cohort(trained.cohort), read_task(trained.task)
    cases = training_cases(cohort, task, 0.0)[:40]
    recipe = fit_preps(cases, cohort.roots, plan_recipe(task))
    return Known(cohort, task, prepare_cases(cases, cohort.roots, recipe), recipe)


def part(n: int, size: int) -> np.ndarray:
    return np.arange(n) < size


def test_it_is_what_those_cases_alone_teach(known: Known) -> None:
    mine = part(40, 8)
    prepared, recipe = Relearn(known.cohort.roots)(known.prepared, known.recipe, known.task, mine)
    alone = fit_preps(known.prepared.cases[:8], known.cohort.roots, plan_recipe(known.task))
    assert {n: p.key for n, p in recipe.preps.items()} == {n: p.key for n, p in alone.preps.items()}
    assert recipe.preps["record"].key != known.recipe.preps["record"].key, "or this shows nothing"
    whole = prepare_cases(known.prepared.cases, known.cohort.roots, alone)
    assert prepared.names == whole.names
    np.testing.assert_array_equal(prepared.present, whole.present)
    np.testing.assert_array_equal(prepared.time_h, whole.time_h)
    for name in whole.names:
        np.testing.assert_array_equal(prepared.x[name], whole.x[name])
        np.testing.assert_array_equal(prepared.row[name], whole.row[name])
        np.testing.assert_array_equal(prepared.plain[name], whole.plain[name])
    assert [set(one) for one in prepared.outcomes] == [set(one) for one in whole.outcomes]


def test_what_learns_the_same_is_not_read_again(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("prepared again")

    monkeypatch.setattr("clinic_mm.prep.relearn.prepare_cases", refuse)
    prepared, recipe = Relearn(known.cohort.roots)(known.prepared, known.recipe, known.task, part(40, 40))
    assert prepared is known.prepared
    assert recipe is known.recipe
