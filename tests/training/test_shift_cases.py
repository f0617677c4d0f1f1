"""From training to weighted answers: what is kept, that it may be taken out, and what a reader is told."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson
import pytest

from clinic_mm.jobs.masked import by_subset
from clinic_mm.predict.artifact import CALIBRATION_CASES, PATIENT_DERIVED, load_model, save_model
from clinic_mm.predict.model import Model, listen_inside
from clinic_mm.predict.predictor import predict_cases
from clinic_mm.predict.shifted import NOT_WEIGHTED, TAKEN_OUT, at_level, shift_told, shift_words, shifted
from clinic_mm.training.fit import fit_model
from tests import made
from tests.quick import without_trees

KINDS = ("record", "note")


@pytest.fixture(scope="module", autouse=True)
def _no_trees() -> Iterator[None]:
    with without_trees():
        yield


@pytest.fixture(scope="module", params=["approximate", "split"])
def model(request: pytest.FixtureRequest) -> Model:
    sets = {"shift": "weighted", "guarantee": request.param}
    task = made.task(KINDS, train={"epochs": 0, "threads": 1}, sets=sets)
    return fit_model(made.prepared(KINDS, 200, planted=0.7), made.recipe(KINDS), task)


def test_calibration_cases_name_nobody_and_may_be_taken_out(model: Model, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    save_model(model, folder)
    manifest = orjson.loads((folder / "manifest.json").read_bytes())
    assert CALIBRATION_CASES in manifest["patient_derived"]
    kept = (folder / CALIBRATION_CASES).read_bytes()
    assert not any(case.patient_key.encode() in kept for case in made.prepared(KINDS, 200, planted=0.7).cases)
    back, _ = load_model(folder)
    np.testing.assert_allclose(back.calibration_cases.features, model.calibration_cases.features, rtol=1e-5)  # type: ignore[union-attr]
    for name in PATIENT_DERIVED:
        (folder / name).unlink(missing_ok=True)
    without, _ = load_model(folder)
    new = made.prepared(KINDS, 5, planted=0.7, seed=3)
    assert shifted(without, listen_inside(without, new).heard, new.patients) is without
    assert all(TAKEN_OUT in p.notices for p in predict_cases(without, "hash", new))
    assert all(NOT_WEIGHTED in p.notices for p in predict_cases(back, "hash", new))


def test_a_cohort_is_answered_with_weighted_sets_and_told_how_far_they_hold(model: Model) -> None:
    new = made.prepared(KINDS, 120, planted=0.7, seed=3)
    weighted = shifted(model, listen_inside(model, new).heard, new.patients)
    told = shift_told(weighted)
    assert told is not None
    assert told["n_new"] == 120
    assert 0.3 < told["auroc_old_against_new"] < 0.75  # type: ignore[operator]
    assert 0 < told["n_effective"] <= told["n_calibration"]  # type: ignore[operator]
    assert "weighted" in shift_words(weighted)
    heard = listen_inside(model, new).heard
    assert by_subset(model, heard, new)["native_coverage"].notna().any()
    assert by_subset(weighted, heard, new)["native_coverage"].isna().all(), "thresholds of other sets than those given"
    answers = predict_cases(weighted, "hash", new)
    assert {p.prediction_set.shift for p in answers} == {"weighted"}
    assert {p.prediction_set.guarantee for p in answers} == {"approximate"}
    assert all(p.prediction_set.n <= told["n_calibration"] for p in answers)  # type: ignore[operator]
    assert not any(NOT_WEIGHTED in p.notices for p in answers)
    few = shifted(model, listen_inside(model, made.prepared(KINDS, 20, planted=0.7, seed=4)).heard, np.arange(20))
    assert all(any("no promise" in n for n in p.notices) for p in predict_cases(few, "hash", new))
    sure, loose = (predict_cases(at_level(weighted, level), "hash", new) for level in (0.95, 0.6))
    assert all(set(b.prediction_set.classes) <= set(a.prediction_set.classes) for a, b in zip(sure, loose, strict=True))
