"""A new site from few cases: shrunk, composed with what was there, refused where it cannot be honest, and paying."""

import json
from pathlib import Path

import numpy as np
import pytest

from clinic_mm.cohort.ingest import ingest
from clinic_mm.errors import ArtifactError, LeakError, TaskError
from clinic_mm.evaluate.metrics import nll
from clinic_mm.fusion.pool import softmax
from clinic_mm.jobs.evaluate import evaluate_model
from clinic_mm.predict.artifact import load_model
from clinic_mm.predict.calibrate import Temperatures, temperatures_from, temperatures_told
from clinic_mm.simulate.cohort import write_cohort
from clinic_mm.training.calibrate import calibrate_model
from clinic_mm.training.pool import subset_rows
from clinic_mm.training.recalibrate import Site, calibrated
from clinic_mm.training.temperatures import Room, fit_temperatures
from tests.conftest import Trained

NAMES = ("a", "b")
PRIOR = np.log(np.array([0.7, 0.3]))


def _some(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    present = rng.random((n, 2)) < 0.7
    present[~present.any(axis=1), 0] = True
    return PRIOR + rng.normal(size=(n, 2)), present


def _full(seed: int) -> Temperatures:
    rng = np.random.default_rng(seed)
    return Temperatures(
        NAMES,
        0.3,
        rng.normal(size=2) / 5,
        {("a", "b"): 0.1},
        PRIOR,
        rng.normal(size=2) / 3,
        {("a",): rng.normal(size=2) / 3},
        rng.normal(size=(2, 2)) / 3,
    )


def test_four_calibrations_one_after_another_are_the_four() -> None:
    logits, present = _some(40, 3)
    chain, expected = _full(0), _full(0).logits(logits, present)
    for seed in range(3):
        nothing = np.zeros((1, 2), dtype=bool)
        ends = chain.logits(PRIOR[None], nothing)[0]
        shift = np.random.default_rng(seed).normal(size=2) / 3
        following = Temperatures(NAMES, 0.1, np.array([0.1, -0.1]), {}, ends, shift)
        expected, chain = following.logits(expected, present), following.after(chain)
    np.testing.assert_allclose(chain.logits(logits, present), expected, atol=1e-12)


def test_one_calibration_after_another_is_one_calibration() -> None:
    logits, present = _some(40, 0)
    had = present | (np.random.default_rng(1).random(present.shape) < 0.5)
    first = _full(0)
    assert first.shift is not None
    second = Temperatures(
        NAMES, -0.2, np.array([0.1, 0.0]), {("b",): 0.3}, PRIOR + first.shift, np.array([0.2, -0.2]), {}
    )
    both = second.after(first)
    expected = second.probabilities(first.logits(logits, present, had), present, had)
    np.testing.assert_array_equal(both.probabilities(logits, present, had), expected)
    again = temperatures_from(json.loads(json.dumps(temperatures_told(both))), NAMES)
    np.testing.assert_array_equal(again.probabilities(logits, present, had), expected)


def test_what_was_never_acquired_goes_by_the_case_and_never_touches_the_prior() -> None:
    calibration = _full(3)
    logits = np.tile(PRIOR, (3, 1))
    present = np.array([[False, False], [True, False], [True, False]])
    had = np.array([[True, False], [True, True], [True, False]])
    out = calibration.logits(logits, present, had)
    assert calibration.shift is not None
    assert calibration.absent is not None
    np.testing.assert_allclose(out[0], PRIOR + calibration.shift)
    np.testing.assert_allclose(out[2] - out[1], calibration.absent[1])
    np.testing.assert_array_equal(calibration.logits(logits[2:], present[2:]), out[2:])


def test_calibrations_survive_json_and_older_ones_are_read() -> None:
    logits, present = _some(20, 2)
    again = temperatures_from(json.loads(json.dumps(temperatures_told(_full(1)))), NAMES)
    np.testing.assert_array_equal(again.probabilities(logits, present), _full(1).probabilities(logits, present))
    old = temperatures_from({"base": 0.5, "size": [0.0, 0.0], "own": {}}, NAMES)
    np.testing.assert_allclose(old.probabilities(logits, present), softmax(logits / np.exp(0.5)))


def test_evidence_that_is_missing_for_a_reason_is_found_and_goes_with_the_case() -> None:
    rng = np.random.default_rng(0)
    had = np.column_stack([np.ones(3000, bool), rng.random(3000) < 0.5])
    truth = np.where(had[:, 1], 0.0, -1.5)
    labels = (rng.random(3000) < 1 / (1 + np.exp(-truth))).astype(int)
    rows = subset_rows(had)
    even = np.log(np.full(2, 0.5))
    fitted = fit_temperatures(
        np.tile(even, (len(rows.case), 1)), rows, labels, np.arange(3000), had, NAMES, even, Room(absent=0.5)
    )
    assert fitted.absent is not None
    assert fitted.absent[1, 1] - fitted.absent[1, 0] == pytest.approx(-1.5, abs=0.25)
    assert abs(fitted.absent[0]).max() < 1e-6  # nobody lacks the first


def _site(n: int, seed: int, moved: float = 0.0, steep: float = 1.0) -> Site:
    """Cases of one site; the model thinks that log-odds are `steep` times what they are, and knows no move."""
    rng = np.random.default_rng(seed)
    had = np.ones((n, 2), bool)
    true = np.log(0.3 / 0.7) + rng.normal(size=n) * 1.3
    labels = (rng.random(n) < 1 / (1 + np.exp(-true - moved))).astype(int)
    rows = subset_rows(had)
    said = np.log(0.3 / 0.7) + steep * (true - np.log(0.3 / 0.7))
    logits = np.stack([np.zeros(n), said], axis=1)[rows.case] + PRIOR[0]
    return Site(logits, rows, labels, np.arange(n).astype(str), had, NAMES, PRIOR)


def _gain(site: Site, new: Site, seed: int) -> float:
    found, native = calibrated(site, seed), new.rows.native
    before = softmax(new.logits[native])
    after = found.temperatures.probabilities(new.logits[native], new.had) if found.pays else before
    return nll(before, new.labels) - nll(after, new.labels)


def test_fifty_cases_of_another_prevalence_help() -> None:
    gains = [_gain(_site(50, s, moved=-1.5), _site(4000, 100 + s, moved=-1.5), s) for s in range(4)]
    assert np.mean(gains) > 0.03


def test_fifty_cases_of_a_site_like_training_do_no_harm() -> None:
    gains = [_gain(_site(50, s), _site(4000, 200 + s), s) for s in range(6)]
    assert np.mean(gains) > -0.005
    assert min(gains) > -0.03


def test_thresholds_come_from_answers_that_did_not_see_the_case() -> None:
    site = _site(60, 5, moved=-1.5)
    found = calibrated(site, 0)
    rows = found.rows(site)
    native = site.rows.native
    fitted = found.temperatures.probabilities(site.logits[native], site.had)
    assert found.pays
    assert not np.allclose(rows.probabilities[native], fitted)
    held = rows.fold[native] == 0
    kept = found.split[site.rows.case] != 0
    expected = site.fit(kept).probabilities(site.logits[native][held], site.had[held])
    np.testing.assert_allclose(rows.probabilities[native][held], expected)


@pytest.fixture(scope="module")
def new_site(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site")
    write_cohort(root / "files", cases=64, seed=9, rate=0.2, modalities=("record", "note"))
    return ingest(root / "files", root / "cohort", key=trained.key).path


def test_a_new_version_says_where_it_comes_from_and_counts_the_site_as_seen(
    trained: Trained, new_site: Path, tmp_path: Path
) -> None:
    made, made_hash = calibrate_model(trained.model, new_site, tmp_path / "new")
    told = made.facts["calibrated"]
    assert isinstance(told, dict)
    assert told["parent"] == trained.model_hash != made_hash
    assert 62 <= told["n_cases"] <= 64  # without whose only evidence was refused as unlike training
    assert str(told["words"]).startswith("Recalibration")
    loaded, _ = load_model(tmp_path / "new")
    np.testing.assert_allclose(loaded.prior, made.prior)
    with pytest.raises(LeakError):
        evaluate_model(tmp_path / "new", new_site, tmp_path / "evaluation")
    with pytest.raises(LeakError, match="64 of 64"):
        calibrate_model(tmp_path / "new", new_site, tmp_path / "newer")


def test_what_cannot_be_honest_is_refused_with_the_mend(trained: Trained, new_site: Path, tmp_path: Path) -> None:
    with pytest.raises(LeakError, match="--unseen"):
        calibrate_model(trained.model, trained.cohort, tmp_path / "a")
    with pytest.raises(TaskError, match="Label at least 50 cases"):
        calibrate_model(trained.model, trained.cohort, tmp_path / "b", unseen_only=True)
    with pytest.raises(ArtifactError, match="another folder"):
        calibrate_model(trained.model, new_site, trained.model)
    assert load_model(trained.model)[1] == trained.model_hash
