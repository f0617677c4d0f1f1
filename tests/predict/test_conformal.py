"""Prediction sets against the textbook's p-values, at any level, for every class, and through an artifact's JSON."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import orjson
import pytest
from crepes import ConformalClassifier
from numpy import ndarray as Array

from clinic_mm.errors import UsageError
from clinic_mm.predict.conformal import Thresholds, single, thresholds_from, thresholds_told
from clinic_mm.predict.set_of import prediction_set
from clinic_mm.training.thresholds import FILL, Rows, fit_thresholds

NAMES = ("b", "a")
CLASSES = ("no", "yes", "other")


def made(n: int = 400, seed: int = 0, n_classes: int = 2, first: float = 0.75, signal: float = 2.0) -> Rows:
    """Answers that are over-confident, more so for one pattern, with one class much commoner than the others."""
    rng = np.random.default_rng(seed)
    prior = np.r_[first, np.full(n_classes - 1, (1 - first) / (n_classes - 1))]
    y = rng.choice(n_classes, n, p=prior)
    present = np.array([[True, False], [False, True], [True, True]])[rng.integers(0, 3, n)]
    logits = np.log(prior) + 3 * rng.normal(size=(n, n_classes)) / present.sum(axis=1)[:, None]
    logits[np.arange(n), y] += signal * present.sum(axis=1)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    ones = np.ones(n, dtype=bool)
    return Rows(NAMES, p / p.sum(axis=1, keepdims=True), y, np.arange(n), present, ones, np.arange(n) % 3)


def by_p_values(cal: Rows, new: Rows, level: float, conditional: bool) -> Array:
    """A class stands in the set where its p-value among calibration cases of the pattern exceeds 1 - level."""
    sets = np.zeros(new.probabilities.shape, dtype=bool)
    for i, p in enumerate(new.probabilities):
        for c in range(len(p)):
            kept = (cal.present == new.present[i]).all(axis=1) & ((cal.labels == c) | (not conditional))
            scores = 1 - cal.probabilities[kept, cal.labels[kept]]
            value = ((scores >= 1 - p[c] - 1e-12).sum() + 1) / (len(scores) + 1)
            sets[i, c] = value > 1 - level + 1e-9 or c == p.argmax()
    return sets


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("level", [0.75, 0.9])
def test_sets_are_those_of_the_p_values_but_for_what_is_cut_from_the_thresholds(
    level: float, conditional: bool
) -> None:
    cal, new = made(600, n_classes=3, first=0.5), made(300, seed=1, n_classes=3, first=0.5)
    found = fit_thresholds(cal, level, class_conditional=conditional).sets(new.probabilities, new.present)
    expected = by_p_values(cal, new, level, conditional)
    assert (found >= expected).all(), "thresholds are cut to three digits, which sets may only grow by"
    assert (found != expected).mean() < 0.005


def test_sets_are_those_of_a_library_that_keeps_mondrian_classifiers() -> None:
    cal, new = made(600, n_classes=3, first=0.5), made(300, seed=1, n_classes=3, first=0.5)
    library = ConformalClassifier()
    bins = np.array([1, 2])
    library.fit(1 - cal.probabilities[np.arange(600), cal.labels], bins=cal.present @ bins)
    asked = {"bins": new.present @ bins, "confidence": 0.9, "smoothing": False}
    expected = np.asarray(library.predict_set(1 - new.probabilities, **asked), dtype=bool)
    expected[np.arange(300), new.probabilities.argmax(axis=1)] = True
    found = fit_thresholds(cal, 0.9).sets(new.probabilities, new.present)
    assert (found >= expected).all()
    assert (found != expected).mean() < 0.005


def test_a_higher_level_never_loses_a_class_and_one_between_two_is_answered_by_the_next() -> None:
    thresholds, new = fit_thresholds(made(), 0.9), made(seed=1)
    sets = [thresholds.at(level).sets(new.probabilities, new.present) for level in (0.5, 0.7, 0.9, 0.905, 0.91, 0.99)]
    assert all((small <= large).all() for small, large in pairwise(sets))
    np.testing.assert_array_equal(sets[3], sets[4])
    assert fit_thresholds(made(), 0.975).levels.count(0.975) == 1
    with pytest.raises(UsageError, match=r"0\.995"):
        thresholds.at(0.995)


def test_classes_apart_reach_the_rare_class_which_the_whole_leaves_out() -> None:
    cal, new = made(3000, first=0.9), made(3000, seed=1, first=0.9)
    rare = new.labels == 1
    whole, apart = (fit_thresholds(cal, 0.9, class_conditional=c).sets(new.probabilities, new.present) for c in (0, 1))
    assert whole[rare, 1].mean() < 0.8 < 0.86 < apart[rare, 1].mean()
    assert apart[~rare, 0].mean() > 0.86


def test_an_artifact_keeps_every_set_and_one_made_before_still_loads() -> None:
    new = made(seed=1)
    for conditional in (False, True):
        thresholds = fit_thresholds(made(), 0.9, class_conditional=conditional)
        back = thresholds_from(
            orjson.loads(orjson.dumps(thresholds_told(thresholds), option=orjson.OPT_SORT_KEYS)), NAMES
        )
        for level in (0.8, 0.9):
            expected = thresholds.at(level).sets(new.probabilities, new.present)
            np.testing.assert_array_equal(back.at(level).sets(new.probabilities, new.present), expected)
        said = [prediction_set(t, CLASSES[:2], new.probabilities[0], ("a", "b")) for t in (thresholds, back)]
        assert said[0].model_dump(exclude={"coverage", "coverage_by_class"}) == said[1].model_dump(
            exclude={"coverage", "coverage_by_class"}
        )
    old = {"level": 0.9, "thresholds": {"a": [0.6, 40]}, "by_size": {"2": [0.5, 80]}, "every": [0.7, 200]}
    rules = [thresholds_from(old, NAMES).of(p) for p in (("a",), ("a", "b"), ("b",))]
    assert [(r.score.tolist(), r.n, r.source) for r in rules] == [
        ([0.6], 40, "pattern"),
        ([0.5], 80, "size"),
        ([0.7], 200, "all"),
    ]


def test_beside_the_set_stand_the_cover_seen_out_of_fold_and_whom_it_is_borrowed_from() -> None:
    rows = made(600, signal=0.5)
    few = np.flatnonzero(~(rows.present == [True, False]).all(axis=1) | (np.arange(600) < 60))
    rows = _some(rows, few)
    thresholds = fit_thresholds(rows, 0.9)
    full = prediction_set(thresholds, CLASSES[:2], np.array([0.5, 0.5]), ("a", "b"))
    assert full.coverage is not None
    assert full.coverage.low < 0.9 < full.coverage.high
    assert full.coverage.n == full.n == full.n_exact
    assert 1.0 <= full.coverage.mean_size <= 2.0
    rare = prediction_set(thresholds, CLASSES[:2], np.array([0.5, 0.5]), ("b",))
    assert (rare.borrowed, full.borrowed) == ("size", "")
    assert rare.n > rare.n_exact == rare.coverage.n  # type: ignore[union-attr]
    nothing = prediction_set(thresholds, CLASSES[:2], np.array([0.9, 0.1]), ())
    assert nothing.classes == CLASSES[:2]


def test_only_a_threshold_of_its_own_from_held_out_patients_is_a_guarantee() -> None:
    thresholds = Thresholds(NAMES, 0.9, {("a",): single(0.6, 40)}, {}, single(0.7, 90), (0.9,), guarantee="split")
    answers = [prediction_set(thresholds, CLASSES[:2], np.array([0.5, 0.5]), p).guarantee for p in (("a",), ("b",))]
    assert answers == ["split", "approximate"]


def test_what_a_fold_shows_does_not_rest_on_its_own_labels() -> None:
    """Labels of a fold that make no sense must cost it its cover: thresholds that saw them would be wide."""
    rows = made(900, first=0.5)
    wrong = np.where(rows.fold == 0, 1 - rows.labels, rows.labels)
    honest, fooled = (fit_thresholds(r, 0.9).shown[("a", "b")] for r in (rows, replace(rows, labels=wrong)))
    at = 40
    assert honest.hits[0, at] / honest.n[0] > 0.85
    assert fooled.hits[0, at] / fooled.n[0] < 0.78


def test_masked_rows_fill_a_pattern_but_count_no_patient_twice() -> None:
    rows = made(400)
    both = np.flatnonzero(rows.present.all(axis=1))
    masked = replace(
        _some(rows, both), present=np.tile([True, False], (len(both), 1)), native=np.zeros(len(both), dtype=bool)
    )
    joined = _joined(rows, masked)
    group = fit_thresholds(joined, 0.9).pattern[("b",)]
    native = (rows.present == [True, False]).all(axis=1).sum()
    assert group.own[0] == native
    assert group.n[0] == pytest.approx(min(FILL, native + len(both)))
    again = fit_thresholds(_joined(joined, masked), 0.9).pattern[("b",)]
    assert again.n[0] == pytest.approx(group.n[0])
    np.testing.assert_array_equal(again.score, group.score)


def _some(rows: Rows, at: Array) -> Rows:
    parts = ("probabilities", "labels", "patients", "present", "native", "fold")
    return replace(rows, **{name: getattr(rows, name)[at] for name in parts})


def _joined(one: Rows, two: Rows) -> Rows:
    parts = ("probabilities", "labels", "patients", "present", "native", "fold")
    return replace(one, **{name: np.concatenate([getattr(one, name), getattr(two, name)]) for name in parts})
