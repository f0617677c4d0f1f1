"""Plain summaries told from those of other modalities, and how well, on patients that were not fitted."""

from dataclasses import replace

import numpy as np
import pytest

from clinic_mm.colearning.plain_translator import PENALTIES, fit_translator, r_squared, translations
from clinic_mm.prep.batch import PreparedCases
from tests import made

KINDS = ("record", "note", "eeg")


def _pair(n: int = 400, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    source = rng.normal(size=(n, 6)) * [1, 10, 0.1, 1, 1, 1]
    told = source[:, [0]] - 0.1 * source[:, [1]] + noise * rng.normal(size=(n, 1))
    return source, np.hstack([told, rng.normal(size=(n, 1))])


def test_a_translator_is_ridge_regression() -> None:
    source, target = _pair()
    fitted = fit_translator(source, target)
    x = fitted.inputs(source)[:, :-1]
    mean_x, mean_y = x.mean(axis=0), target.mean(axis=0)
    for t in range(2):
        by_penalty = []
        for penalty in PENALTIES:
            gram = sum(np.outer(row - mean_x, row - mean_x) for row in x) + penalty * np.eye(6)
            moment = sum((row - mean_x) * (y - mean_y[t]) for row, y in zip(x, target[:, t], strict=True))
            w = np.linalg.solve(gram, moment)
            by_penalty.append(np.r_[w, mean_y[t] - mean_x @ w])
        assert min(np.abs(fitted.weights[:, t] - w).max() for w in by_penalty) < 1e-8


def test_what_can_be_told_is_told_and_what_cannot_is_not() -> None:
    source, target = _pair()
    held = np.arange(400) >= 300
    guessed = fit_translator(source[~held], target[~held])(source[held])
    told, untold = r_squared(target[held], guessed)
    assert told == pytest.approx(2 / 2.25, abs=0.05)
    assert -0.1 < untold < 0.05


def test_gaps_on_either_side_are_no_numbers() -> None:
    source, target = _pair()
    gone = np.random.default_rng(1).random(source.shape) < 0.2
    source[gone] = np.nan
    target[::3, 0] = np.nan
    fitted = fit_translator(source, target)
    assert np.isfinite(fitted(source)).all()
    known = np.isfinite(target[:, 0])
    junk = target.copy()
    junk[~known, 0] = np.inf
    np.testing.assert_array_equal(fit_translator(source, junk).weights, fitted.weights)
    assert r_squared(target, fitted(source))[0] > 0.3
    assert np.isfinite(fitted(np.full((1, 6), np.nan))).all()


def test_r_squared_is_one_minus_what_is_missed() -> None:
    y, guessed = np.arange(40.0)[:, None], np.arange(40.0)[:, None] + 1
    assert r_squared(y, guessed)[0] == pytest.approx(1 - 40 / ((y - y.mean()) ** 2).sum())
    assert np.isnan(r_squared(np.ones((40, 1)), guessed)[0])
    assert np.isnan(r_squared(y[:5], guessed[:5])[0])


def _cases() -> PreparedCases:
    return made.prepared(KINDS, 120, planted=3.0, missing=0.2)


def test_every_direction_stands_beside_the_mean_and_none_looks_at_its_own_patients() -> None:
    cases, recipe = _cases(), made.recipe(KINDS)
    table = translations(cases, recipe, k=3).set_index(["source", "target"])
    assert len(table) == 3 * 3
    assert (table["r2_mean"] <= 0).all()
    assert table.loc[("eeg", "note"), "n_cases"] == (cases.present[:, 1] & cases.present[:, 2]).sum()
    # Scores were planted in all modalities by class, so that each tells something of the others' best summary.
    assert table.loc[("eeg", "record"), "r2_best"] > 0.2
    assert table.loc[("eeg", "record"), "best"].startswith("lab mg/L")
    shuffled = replace(cases, plain={**cases.plain, "eeg": cases.plain["eeg"][_turned(cases.present[:, 2])]})
    assert translations(shuffled, recipe, k=3).set_index(["source", "target"]).loc[("eeg", "record"), "r2_best"] < 0.1


def _turned(present: np.ndarray) -> np.ndarray:
    """Everyone's row given to another who has one."""
    order, here = np.arange(len(present)), np.flatnonzero(present)
    order[here] = np.random.default_rng(0).permutation(here)
    return order


def test_a_pair_that_hardly_any_case_has_is_not_scored() -> None:
    cases = _cases()
    present = cases.present.copy()
    present[10:, 1] = False
    table = translations(replace(cases, present=present), made.recipe(KINDS), k=3).set_index(["source", "target"])
    assert table.loc[("record", "note"), ["r2", "r2_mean", "best"]].isna().all()
    assert np.isfinite(table.loc[("eeg", "record"), "r2"])
