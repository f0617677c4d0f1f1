"""Copies with gaps: the case stays as it is, whole parameters go, and nothing of it grows without bound."""

import numpy as np
import pytest

from clinic_mm.predict.joint import SideBySide
from clinic_mm.training import gaps
from clinic_mm.training.gaps import RATES, SUBSET_COPIES, familiar, familiar_side_by_side
from clinic_mm.training.heads import fit_trees

CODES = [c for c in "abcdef" for _ in range(3)]


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(200, len(CODES)))


def test_the_first_rows_are_the_cases_and_parameters_go_whole(x: np.ndarray) -> None:
    y, who = np.arange(200) % 2, np.arange(200)
    rows = familiar(x, y, who, CODES, seed=1)
    assert rows.copies == len(RATES) + 1 == len(rows.x) // 200
    np.testing.assert_array_equal(rows.x[:200], x)
    gone = np.isnan(rows.x[200:]).reshape(-1, 6, 3)
    assert (gone.all(axis=2) == gone.any(axis=2)).all()
    assert sorted(gone.reshape(3, -1).mean(axis=1)) == pytest.approx(sorted(RATES), abs=0.05)
    np.testing.assert_array_equal(rows.groups.reshape(-1, 200), np.tile(who, (rows.copies, 1)))
    np.testing.assert_array_equal(familiar(x, y, who, CODES, seed=1).x, rows.x)


def test_copies_of_a_case_weigh_as_much_as_the_case(x: np.ndarray) -> None:
    rows = familiar(x, np.zeros(200, int), np.arange(200), CODES, seed=0)
    assert rows.weight[:200].sum() == pytest.approx(rows.weight[200:].sum())


@pytest.mark.parametrize("codes", [(), ["a"] * len(CODES), [c for c in "abc" for _ in range(6)]])
def test_what_has_no_or_few_parameters_is_left_alone(x: np.ndarray, codes: list[str]) -> None:
    rows = familiar(x, np.zeros(200, int), np.arange(200), codes, seed=0)
    assert rows.copies == 1
    np.testing.assert_array_equal(rows.x, x)


def test_many_rows_get_fewer_copies(x: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaps, "MOST_ROWS", 450)
    assert familiar(x, np.zeros(200, int), np.arange(200), CODES, seed=0).copies == 2


def test_flags_follow_what_is_left_side_by_side(x: np.ndarray) -> None:
    owner = np.repeat([0, 1], [12, 6])
    present = np.random.default_rng(1).random((200, 2)) < 0.8
    beside = SideBySide(np.where(present[:, owner], x, np.nan), owner)
    rows = familiar_side_by_side(beside, present, np.zeros(200, int), np.arange(200), [*CODES[:12], *[""] * 6], seed=0)
    assert rows.copies == 1 + len(RATES) + SUBSET_COPIES
    finite, flags = np.isfinite(rows.x[:, :-2]), rows.x[:, -2:].astype(bool)
    for m in (0, 1):
        np.testing.assert_array_equal(finite[:, owner == m].any(axis=1), flags[:, m])
    whole = finite[: 4 * 200, 12:].reshape(4, 200, 6).all(axis=2)
    assert (whole == present[:, 1]).all(), "what is no parameter never goes alone"


def test_trees_familiar_with_gaps_stand_them_better() -> None:
    rng = np.random.default_rng(3)
    y = np.arange(600) % 2
    x = np.repeat(rng.normal(size=(600, 8)) + 0.8 * y[:, None], 2, axis=1)
    codes = [c for c in "abcdefgh" for _ in range(2)]
    fit, new = slice(0, 400), slice(400, None)
    rows = familiar(x[fit], y[fit], np.arange(400), codes, seed=0)
    plain = fit_trees(x[fit], y[fit], 2, seed=0)
    used_to = fit_trees(rows.x, rows.y, 2, seed=0, groups=rows.groups, weight=rows.weight, copies=rows.copies)
    gapped = gaps.drop_columns(x[new], 0.7, 9, parameter=codes)
    nll = [-np.log(head.predict(gapped)[np.arange(200), y[new]]).mean() for head in (plain, used_to)]
    assert nll[1] < nll[0]
