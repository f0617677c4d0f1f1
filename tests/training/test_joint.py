"""The head on everything side by side: a share only where it pays, and any subset from one preparation."""

import numpy as np
import pytest

from clinic_mm.cohort.split import folds
from clinic_mm.fusion.pool import FLOOR, unfitted
from clinic_mm.predict.joint import concatenated, mixed, side_by_side
from clinic_mm.predict.model import heard_of
from clinic_mm.training.heads import fit_ridge
from clinic_mm.training.joint import best_share
from clinic_mm.training.secondlevel import JointRows, Table, make_table
from tests import made

PRIOR = np.array([0.5, 0.5])


@pytest.fixture
def table() -> Table:
    cases = made.prepared(("record", "note", "xray"), 80, missing=0.3)
    opinions = np.random.default_rng(0).dirichlet([4, 4], size=(80, 3))
    return make_table(opinions, cases, PRIOR, folds(cases.patients.tolist(), cases.labels.tolist(), 3, 0))


def test_absent_summaries_reach_no_subset() -> None:
    cases = made.prepared(("record", "note"), 40, missing=0.3)
    beside, every = side_by_side(cases.plain, cases.names), np.arange(40)
    np.testing.assert_array_equal(
        beside.of(every, cases.present), concatenated(heard_of(cases, np.zeros((len(cases), len(cases.names), 2)), {}))
    )
    alone = beside.of(every, cases.present & np.array([True, False]))
    assert np.isnan(alone[:, np.flatnonzero(beside.owner == 1)]).all()
    assert (alone[:, -1] == 0).all()


@pytest.mark.parametrize("classes", [2, 3])
def test_a_ridge_weighs_each_case_once_for_all_its_subsets(classes: int) -> None:
    cases = made.prepared(("record", "note", "xray"), 60, missing=0.3)
    beside = side_by_side(cases.plain, cases.names)
    labels = np.arange(60) % classes
    head = fit_ridge(beside.of(np.arange(60), cases.present), labels, classes, seed=0)
    rng = np.random.default_rng(0)
    case = rng.integers(60, size=300)
    present = cases.present[case] & (rng.random((300, 3)) < 0.6)
    plainly = np.log(np.clip(head.predict(beside.of(case, present)), FLOOR, 1.0))
    found = beside.logits(head, case, present)
    np.testing.assert_allclose(found, plainly, atol=1e-9)
    alone = np.concatenate([beside.logits(head, case[[k]], present[[k]]) for k in range(30)])
    np.testing.assert_array_equal(alone, found[:30])
    assert beside.logits(head, case[:0], present[:0]).shape == (0, classes)


def test_what_knows_the_class_gets_all_and_noise_gets_nothing(table: Table) -> None:
    pool = table.asked(unfitted(table.names, PRIOR))(table.rows.case, table.rows.present)
    truth = np.log(np.where(np.eye(2)[table.labels[table.rows.case]] == 1, 0.95, 0.05))
    assert best_share(table, pool, truth)[0] == 1.0
    wrong = np.log(np.random.default_rng(1).dirichlet([1, 1], size=len(pool)))
    assert best_share(table, pool, wrong)[0] == 0.0


def test_any_case_and_subset_finds_its_own_row(table: Table) -> None:
    pool = unfitted(table.names, PRIOR)
    joint = JointRows(np.random.default_rng(2).normal(size=(len(table.rows.case), 2)), 0.25)
    order = np.random.default_rng(3).permutation(len(table.rows.case))
    case, mask = table.rows.case[order], table.rows.present[order]
    expected = mixed(pool.logits(table.opinions[case], mask), joint.logits[order], 0.25)
    np.testing.assert_array_equal(table.asked(pool, joint)(case, mask), expected)
