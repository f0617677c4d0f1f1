"""Advice on real files of SIMULATED patients: ranked within a budget; the bank can be left out and taken out."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clinic_mm.errors import ArtifactError, InputError, UsageError
from clinic_mm.jobs.advise import advise_budget, in_words, shown
from clinic_mm.jobs.asked import ScreenOptions
from clinic_mm.jobs.screen import screen_cohort
from clinic_mm.predict.advise import advised
from clinic_mm.predict.artifact import load_model, save_model
from clinic_mm.predict.bank import BANK
from clinic_mm.predict.budget import candidates
from clinic_mm.predict.prediction import PredictionSet
from clinic_mm.predict.set_of import prediction_set
from clinic_mm.predict.shifted import at_level
from clinic_mm.report.run import Run, open_run
from tests.conftest import Trained


@pytest.fixture(scope="module")
def run(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("advise") / "run"
    screen_cohort(trained.model, trained.cohort, out, options=ScreenOptions(validate=False))
    return open_run(out)


def test_half_of_the_cost_is_spent_on_the_tests_that_are_worth_most(trained: Trained, run: Run, tmp_path: Path) -> None:
    ranked = advise_budget(trained.model, run.path, budget="50%", out=tmp_path)
    rows, told = pd.read_csv(tmp_path / "advice.csv"), json.loads((tmp_path / "advice.json").read_text())
    assert told["cost_chosen"] == pytest.approx(rows.loc[rows["chosen"], "cost"].sum())
    assert 0 < told["cost_chosen"] <= told["cost_all"] / 2 + 1e-9
    assert rows["gain_per_cost"].is_monotonic_decreasing
    assert told["simulated"]
    assert told["information_share"] > 0.5
    assert "SIMULATED" in in_words(ranked)
    assert len(shown(ranked)) == min(20, told["tests_chosen"])
    missing = {(p.case_key, m.modality) for p in run.predictions() for m in p.missing}
    assert {*zip(rows["case_key"], rows["test"], strict=True)} <= missing


def test_a_cohort_and_its_run_are_advised_alike(trained: Trained, run: Run) -> None:
    of_run = advise_budget(trained.model, run.path, tests=["note"]).rows
    of_cohort = advise_budget(trained.model, trained.cohort, tests=["note"]).rows
    answered = set(run.worklist()["case_key"])
    kept = of_cohort[of_cohort["case_key"].isin(answered)].reset_index(drop=True)
    columns = ["case_key", "test", "gain", "flips"]
    pd.testing.assert_frame_equal(kept[columns], of_run[columns])
    assert set(of_run["test"]) == {"note"}


def test_a_run_is_advised_at_the_level_and_by_the_thresholds_of_its_own_sets(
    trained: Trained, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = at_level(load_model(trained.model)[0], 0.6)
    judged = partial(prediction_set, model.thresholds)
    loose = [
        one.model_copy(update={"prediction_set": judged(one.classes, np.array(one.probabilities), one.pattern)})
        for one in run.predictions()
    ]
    advice = candidates(advised(model, loose), ())
    assert not advice["shrink"].equals(candidates(list(run.predictions()), ())["shrink"])
    monkeypatch.setattr(Run, "predictions", lambda _: iter(loose))
    told = advise_budget(trained.model, run.path).rows
    pd.testing.assert_frame_equal(told[list(advice)], advice)
    wide = PredictionSet(level=0.6, classes=loose[0].classes, n=500, shift="weighted")
    weighted = [one.model_copy(update={"prediction_set": wide if one.pattern else one.prediction_set}) for one in loose]
    pd.testing.assert_frame_equal(candidates(advised(model, weighted), ()), advice)


def test_all_but_advice_works_without_the_bank(trained: Trained, run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(trained.model, folder)
    assert json.loads((folder / "manifest.json").read_text())["patient_derived"] == [BANK]
    (folder / BANK).unlink()
    assert load_model(folder)[1] == trained.model_hash
    screen_cohort(folder, trained.cohort, tmp_path / "run", options=ScreenOptions(validate=False))
    advised = 0
    for one in open_run(tmp_path / "run").predictions():
        before = run.prediction(one.case_key)
        assert one.probabilities == before.probabilities
        assert not one.advice
        assert "bank" in one.advice_silent
        advised += bool(before.advice)
    assert advised > 10
    with pytest.raises(ArtifactError, match="no bank"):
        advise_budget(folder, run.path)


def test_a_bank_is_kept_to_the_bit_and_damage_is_refused(trained: Trained, tmp_path: Path) -> None:
    model, _ = load_model(trained.model)
    assert save_model(model, tmp_path / "again") == trained.model_hash
    bank = model.bank
    assert bank is not None
    assert 0 < len(bank) <= bank.n_cases
    content = bytearray((tmp_path / "again" / BANK).read_bytes())
    content[-1] ^= 1
    (tmp_path / "again" / BANK).write_bytes(bytes(content))
    with pytest.raises(ArtifactError, match="not what was written"):
        load_model(tmp_path / "again")


def test_nothing_of_a_training_patient_stands_in_an_answer(trained: Trained, run: Run) -> None:
    bank = load_model(trained.model)[0].bank
    assert bank is not None
    told = "".join(one.model_dump_json() for one in run.predictions())
    assert not any(patient in told for patient in bank.patients)


@pytest.mark.parametrize("budget", ["half", "-3", "120%", "inf", ""])
def test_what_is_no_budget_is_refused(trained: Trained, run: Run, budget: str) -> None:
    with pytest.raises(UsageError, match="no budget"):
        advise_budget(trained.model, run.path, budget=budget)


def test_unknown_tests_and_runs_of_other_models_are_refused(trained: Trained, run: Run, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not know mri"):
        advise_budget(trained.model, run.path, tests=["mri"])
    told = json.loads((run.path / "run.json").read_text())
    told["model"]["hash"] = "0" * 64
    (tmp_path / "run.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match="another model"):
        advise_budget(trained.model, tmp_path)
