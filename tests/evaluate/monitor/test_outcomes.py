"""Outcomes: bets are fair for every model that is borne, and what is late, unknown or foreign is counted, not used."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from clinic_mm.errors import InputError
from clinic_mm.evaluate.monitor.blocks import expected_nll, known_share, outcome_blocks
from clinic_mm.evaluate.monitor.outcomes import calibration_bets, coverage_bets, read_outcomes
from clinic_mm.evaluate.monitor.policy import read_policy
from clinic_mm.evaluate.monitor.scores import stream_of
from tests.evaluate.monitor import shifting

POLICY = read_policy()


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("error", [-1.0, 0.0, 1.0])
def test_bets_on_calibration_are_fair_to_every_model_within_the_tolerance(n_classes: int, error: float) -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(n_classes), 200)
    true = p.copy()
    if n_classes == 2:  # as far off as is borne
        true[:, 1] = expit(logit(p[:, 1]) + error * POLICY.calibration.tolerance)
        true[:, 0] = 1 - true[:, 1]
    paid = [calibration_bets(p, np.full(200, c), POLICY.calibration) for c in range(n_classes)]
    mean = sum(true[:, [c]] * paid[c] for c in range(n_classes))
    assert mean.max() <= 1 + 1e-6


def test_bets_on_calibration_win_where_probabilities_are_off() -> None:
    rng = np.random.default_rng(1)
    odds = rng.normal(0, 2, 3000)
    p = np.column_stack([expit(-odds), expit(odds)])
    for true in (odds + 1.0, odds - 1.0, odds / 3, odds * 4):
        y = (rng.random(3000) < expit(true)).astype(int)
        assert np.log(calibration_bets(p, y, POLICY.calibration)).sum(axis=0).max() > 20
    y = (rng.random(3000) < expit(odds)).astype(int)
    assert np.log(calibration_bets(p, y, POLICY.calibration)).sum(axis=0).max() < 5


def test_bets_on_coverage_are_fair_at_the_promised_level_and_win_below_it() -> None:
    n = np.full(1, 100.0)
    hit, miss = (coverage_bets(np.array([m]), 0.9, n, POLICY.coverage)[0] for m in (False, True))
    assert (0.9 * hit + 0.1 * miss).max() <= 1
    assert (0.7 * np.log(hit) + 0.3 * np.log(miss)).max() > 0


def test_a_case_without_an_outcome_leaves_every_detector_as_it_was() -> None:
    p = np.array([[0.4, 0.6], [0.4, 0.6]])
    assert np.isnan(calibration_bets(p, np.array([-1, 1]), POLICY.calibration)).all(axis=1).tolist() == [True, False]


@pytest.fixture(scope="module")
def told() -> tuple[list[shifting.Prediction], np.ndarray]:
    return shifting.cases(120, seed=1)


def test_runs_whose_sets_promise_different_levels_are_not_judged_by_the_level_of_the_first(told: tuple) -> None:  # type: ignore[type-arg]
    loose = told[0][5].prediction_set.model_copy(update={"level": 0.7})
    mixed = [*told[0][:5], told[0][5].model_copy(update={"prediction_set": loose})]
    with pytest.raises(InputError, match=r"0\.7 and 0\.9"):
        stream_of(mixed, POLICY.reference)


def test_outcomes_are_joined_by_case_by_name_or_number(tmp_path: Path, told: tuple) -> None:  # type: ignore[type-arg]
    predictions, y = told
    stream = stream_of(predictions, POLICY.reference)
    rows = {"case_key": [p.case_key for p in predictions[:60]], "label": [str(k) for k in y[:60]]}
    table = pd.concat([pd.DataFrame(rows), pd.DataFrame({"case_key": ["stranger", "c000099"], "label": ["yes", ""]})])
    table.sample(frac=1, random_state=0).to_csv(tmp_path / "o.csv", index=False)
    found = read_outcomes(tmp_path / "o.csv", stream, POLICY.outcomes)
    assert found.label[:60].tolist() == y[:60].tolist()
    assert (found.label[60:] == -1).all()
    assert (found.known, found.strangers) == (60, 1)
    assert known_share(stream, found)["cases"].sum() == len(stream)
    blocks = outcome_blocks(stream, found)
    assert blocks["n"].sum() == 60


def test_quick_outcomes_are_not_judged_before_slow_ones_could_be_known(tmp_path: Path, told: tuple) -> None:  # type: ignore[type-arg]
    predictions, y = told
    stream = stream_of(predictions, POLICY.reference)
    waits = POLICY.outcomes.model_copy(update={"wait_days": 2.0})
    late = timedelta(days=3)
    table = pd.DataFrame(
        {
            "case_key": [p.case_key for p in predictions],
            "label": y,
            "arrived_at": [
                p.decision_time + (timedelta(hours=1) if k else late) for p, k in zip(predictions, y, strict=True)
            ],
        }
    )
    table.to_csv(tmp_path / "o.csv", index=False)
    found = read_outcomes(tmp_path / "o.csv", stream, waits)
    assert found.late == (y == 0).sum()
    table.drop(columns="arrived_at").to_csv(tmp_path / "o.csv", index=False)
    found = read_outcomes(tmp_path / "o.csv", stream, waits)
    newest = stream.frame["time"].max()
    young = (stream.frame["time"] > newest - pd.Timedelta(days=2)).to_numpy()
    assert found.waiting == young.sum() > 0
    assert (found.label[young] == -1).all()


def test_a_case_without_a_time_is_counted_and_switches_the_rule_off_for_no_other(tmp_path: Path, told: tuple) -> None:  # type: ignore[type-arg]
    some = [p.model_copy(update={"decision_time": None}) if i == 3 else p for i, p in enumerate(told[0])]
    stream, waits = stream_of(some, POLICY.reference), POLICY.outcomes.model_copy(update={"wait_days": 2.0})
    ago = [timedelta(days=3 * (i % 2)) for i in range(len(some))]
    shapes = ("%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M", "%Y-%m-%d")  # a file written by several systems
    arrived = [(p.decision_time + d).strftime(shapes[i % 3]) for i, (p, d) in enumerate(zip(told[0], ago, strict=True))]
    table = pd.DataFrame({"case_key": [p.case_key for p in some], "label": told[1], "arrived_at": arrived})
    table.to_csv(tmp_path / "o.csv", index=False)
    found = read_outcomes(tmp_path / "o.csv", stream, waits)
    assert (found.undated, found.label[3]) == (1, -1)
    assert found.late == sum(map(bool, ago)) - 1
    table.loc[5, "arrived_at"] = "03.04.2026 Jane"
    table.to_csv(tmp_path / "o.csv", index=False)
    with pytest.raises(InputError, match="line 7 / arrived_at") as caught:
        read_outcomes(tmp_path / "o.csv", stream, waits)
    assert "Jane" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("case_key\nc1\n", "label"),
        ("case_key,label\nc000001,maybe\n", "line 2"),
        ("case_key,label\n\nc000002,\nc000001,maybe\n", "line 4"),
        ("case_key,label\nc000001,yes\n1234567 Jane,yes\n1234567 Jane,no\n", "two outcomes.*line 4"),
    ],
)
def test_what_is_wrong_with_outcomes_is_said_without_a_value(tmp_path: Path, told: tuple, text: str, says: str) -> None:  # type: ignore[type-arg]
    stream = stream_of(told[0], POLICY.reference)
    (tmp_path / "o.csv").write_text(text)
    with pytest.raises(InputError, match=says) as caught:
        read_outcomes(tmp_path / "o.csv", stream, POLICY.outcomes)
    assert not any(word in str(caught.value) for word in ("maybe", "Jane", "1234567"))


def test_expected_nll_is_that_of_labels_drawn_from_the_answers() -> None:
    rng = np.random.default_rng(2)
    p = rng.dirichlet([2, 1], 400)
    draws = [-np.log(np.where(rng.random(400) < p[:, 1], p[:, 1], p[:, 0])).mean() for _ in range(400)]
    mean, error = expected_nll(p)
    assert mean == pytest.approx(np.mean(draws), abs=0.005)
    assert error == pytest.approx(np.std(draws), rel=0.1)
