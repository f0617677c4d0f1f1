"""Silence: each rule speaks where it should and only there, in words, and survives the artifact."""

import json

import numpy as np
import pytest

from clinic_mm.fusion.pool import unfitted
from clinic_mm.predict.abstain import (
    ONLY_NOTHING,
    Judged,
    Silence,
    Skill,
    abstaining,
    dispute,
    disputed,
    silence_from,
    silence_told,
    support,
)
from clinic_mm.predict.prediction import MissingEvidence, Prediction
from tests.report.predictions import made_up, rejected

NAMES = ("ct", "eeg", "record")
CALM = np.zeros((3, 2))
CONTRADICTION = np.array([[-2.0, 2.0], [1.5, -1.5], [0.0, 0.0]])
ON = {"contradiction": Judged(True, 40, 0.3, 0.2, 0.05)}
USEFUL = Silence(
    skill={("ct", "eeg", "record"): Skill(0.1, 0.02, 300)},
    natives={("ct", "eeg", "record"): 4, ("ct", "eeg"): 50},
    fewest=5,
    dispute={2: 1.0, 3: 1.4},
    judged=ON,
)


def codes(silence: Silence, prediction: Prediction, said: np.ndarray = CALM) -> list[str]:
    return [reason.code for reason in abstaining(silence, prediction, said, NAMES).abstentions]


def test_an_answer_that_no_rule_speaks_against_stays_as_it_is() -> None:
    prediction = made_up()
    assert abstaining(ONLY_NOTHING, prediction, CONTRADICTION, NAMES) is prediction


@pytest.mark.parametrize(
    ("missing", "code"),
    [((), "nothing"), ((MissingEvidence(modality="ct", status="absent"), rejected()), "all_refused")],
)
def test_without_evidence_there_is_no_decision(missing: tuple[MissingEvidence, ...], code: str) -> None:
    found = abstaining(ONLY_NOTHING, made_up(shares={}, missing=missing), CALM, NAMES)
    assert [reason.code for reason in found.abstentions] == [code]
    assert found.decision == ""
    assert found.abstained == found.abstentions[0].why
    if code == "all_refused":
        assert "xray.blank" in found.abstained


@pytest.mark.parametrize(
    ("skill", "code", "noticed"),
    [
        (Skill(-0.01, 0.01, 800), ["no_skill"], False),
        (Skill(-0.002, 0.178, 11), [], True),
        (Skill(0.01, 0.02, 80), [], True),
        (Skill(0.1, 0.02, 80), [], False),
    ],
)
def test_evidence_that_taught_nothing_is_not_answered_and_weak_evidence_is_noted(
    skill: Skill, code: list[str], noticed: bool
) -> None:
    found = abstaining(Silence(skill={("ct", "eeg", "record"): skill}), made_up(), CALM, NAMES)
    assert [reason.code for reason in found.abstentions] == code
    assert any("Weak evidence" in notice for notice in found.notices) is noticed


def test_patients_who_had_more_count_for_what_is_part_of_it() -> None:
    assert USEFUL.together(("ct",)) == USEFUL.together(("ct", "eeg")) == 54
    assert codes(USEFUL, made_up()) == ["rare"]
    assert codes(USEFUL, made_up(shares={"ct": 1.0, "eeg": 0.2})) == []


def test_what_is_left_after_a_refusal_must_be_near_training() -> None:
    outside = rejected(code="xray.outside_training")
    far = made_up(missing=(outside,)).model_copy(update={"distance_percentile": dict.fromkeys(NAMES, 97.0)})
    near = far.model_copy(update={"distance_percentile": {"ct": 97.0, "eeg": 97.0, "record": 20.0}})
    assert codes(ONLY_NOTHING, far) == ["far"]
    assert codes(ONLY_NOTHING, near) == []
    assert codes(ONLY_NOTHING, far.model_copy(update={"missing": (rejected(),)})) == []


def test_a_contradiction_is_told_with_its_sides_and_only_where_the_rule_is_known_to_help() -> None:
    rule = Silence(dispute={3: 1.4}, judged=ON)
    (reason,) = abstaining(rule, made_up(), CONTRADICTION, NAMES).abstentions
    assert reason.code == "contradiction"
    assert "CT speaks strongly for positive and EEG strongly against it" in reason.why
    assert codes(Silence(dispute={3: 1.6}, judged=ON), made_up(), CONTRADICTION) == []
    off = {"contradiction": Judged(False, 40, 0.2, 0.2, -0.05)}
    assert codes(Silence(dispute={3: 1.4}, judged=off), made_up(), CONTRADICTION) == []


def test_the_least_sure_are_not_answered_where_the_task_asks_for_it() -> None:
    surest = max(made_up().probabilities)
    assert codes(Silence(least=surest + 0.01), made_up()) == ["undecided"]
    assert codes(Silence(least=surest - 0.01), made_up()) == []
    both = made_up().model_copy(
        update={"prediction_set": made_up().prediction_set.model_copy(update={"classes": ("negative", "positive")})}
    )
    assert codes(Silence(whole_set=True), both) == ["undecided"]
    assert codes(Silence(whole_set=True), made_up()) == []


def test_a_dispute_needs_both_sides_and_does_not_depend_on_who_comes_first() -> None:
    rng = np.random.default_rng(0)
    pool = unfitted(NAMES, np.array([0.5, 0.3, 0.2]))
    opinions, present = rng.dirichlet((1, 1, 1), (50, 3)), rng.random((50, 3)) < 0.7
    said = support(pool, opinions, present)
    assert (said[~present] == 0).all()
    order = [2, 0, 1]
    np.testing.assert_allclose(dispute(said[:, order]), dispute(said))
    assert (dispute(said)[present.sum(axis=1) < 2] == 0).all()
    for row in said:
        found = disputed(row, NAMES)
        plain = max(min(max(row[:, c]), max(-row[:, c])) for c in range(3))
        assert found.strength == pytest.approx(max(plain, 0.0))


def test_for_two_classes_support_is_the_weighted_change_in_log_odds() -> None:
    pool = unfitted(("a", "b"), np.array([0.7, 0.3]))
    opinions = np.array([[[0.2, 0.8], [0.6, 0.4]]])
    said = support(pool, opinions, np.ones((1, 2), bool))
    change = np.log(opinions[0, :, 1] / opinions[0, :, 0]) - np.log(0.3 / 0.7)
    np.testing.assert_allclose(said[0, :, 1], change / np.sqrt(2))
    np.testing.assert_allclose(said[0, :, 0], -said[0, :, 1])


def test_rules_survive_json() -> None:
    rules = Silence(
        **{name: getattr(USEFUL, name) for name in ("skill", "natives", "fewest", "dispute", "judged")}, least=0.6
    )
    assert silence_from(json.loads(json.dumps(silence_told(rules)))) == rules
