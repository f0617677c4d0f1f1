"""Repeated cross-validation: everyone is answered once a repeat by parts that did not see them, and runs go on."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clinic_mm.evaluate.curves import curves
from clinic_mm.evaluate.table import by_pattern
from clinic_mm.prep.batch import PreparedCases
from clinic_mm.training import crossfit, crossval, heads, joint
from clinic_mm.training.crossval import LOSSES, cross_validate
from clinic_mm.training.simple import boosting, covariates, logistic, summaries
from tests import made

KINDS = ("record", "note")
SOME = tuple(loss for loss in LOSSES if loss.rate in {0.3, 0.9})


@pytest.fixture(scope="module", autouse=True)
def _cheap() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crossfit, "TREES_UP_TO", 0)
        patch.setattr(joint, "TREES_UP_TO", 0)
        patch.setattr(heads, "STRENGTHS", (1e-3, 1e-2))
        yield


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("folds")


def run(keep: Path, cases: PreparedCases | None = None) -> pd.DataFrame:
    recipe = made.recipe(KINDS)
    return cross_validate(
        cases or made.prepared(KINDS, 80),
        recipe,
        made.task(KINDS, folds=2, train={"epochs": 0, "threads": 1}),
        relearn=None,
        repeats=2,
        folds=2,
        extra=lambda r: {"logistic": logistic(summaries(r)), "boosting": boosting(summaries(r), max_iter=5)},
        losses=SOME,
        keep=keep,
    )


@pytest.fixture(scope="module")
def frame(kept: Path) -> pd.DataFrame:
    return run(kept)


def test_each_case_is_answered_once_a_repeat_by_each_method_at_each_loss(frame: pd.DataFrame) -> None:
    counts = frame.groupby(["repeat", "method", "dropped", "rate"])["case_key"].agg(["size", "nunique"])
    assert (counts == 80).all(axis=None)
    assert len(counts) == 2 * 8 * 5
    assert (frame.groupby(["repeat", "patient_key"])["fold"].nunique() == 1).all()
    folds = frame.drop_duplicates(["repeat", "case_key"]).pivot_table(index="case_key", columns="repeat", values="fold")
    assert (folds[0] != folds[1]).any()


def test_the_frame_is_what_tables_and_curves_ask_for(frame: pd.DataFrame) -> None:
    whole = frame[frame["dropped"] == "nothing"]
    scores = by_pattern(whole, n=20).set_index(["pattern", "method"])
    assert scores.loc[("all", "fusion"), "auroc"] > 0.7
    drawn = curves(frame, "parameters", ["fusion", "logistic"], n=20)
    assert sorted(drawn["rate"].unique()) == [0.0, 0.3, 0.9]
    assert drawn.iloc[0]["value"] == pytest.approx(scores.loc[("all", "fusion"), "auroc"])


def test_an_interrupted_run_goes_on(frame: pd.DataFrame, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossval, "fit_model", None)
    pd.testing.assert_frame_equal(run(kept), frame)
    other = made.prepared(KINDS, 80, labels=np.roll(np.arange(80) % 2, 1))
    with pytest.raises(TypeError):
        run(kept, other)


def test_covariates_are_read_from_the_labels() -> None:
    cases = made.prepared(KINDS, 8)
    for case, view in zip(cases.cases, ["ap", "pa"] * 4, strict=True):
        case.covariates.update(view=view, iq=None if view == "ap" else 100)
    np.testing.assert_array_equal(covariates("view", words=("ap",))(cases)[:, 0], [1, 0] * 4)
    np.testing.assert_array_equal(covariates("iq")(cases)[:, 0], [np.nan, 100] * 4)
