"""What lies outside of training is rejected with its reason, and nothing else changes for it."""

from dataclasses import replace

import numpy as np
import pytest
from numpy import ndarray as Array
from sklearn.covariance import LedoitWolf

from clinic_mm.errors import ArtifactError
from clinic_mm.fusion.heard import Heard
from clinic_mm.predict.cloud import Cloud
from clinic_mm.predict.model import heard_of
from clinic_mm.predict.outside import Guard, Outside, attend
from clinic_mm.predict.outside_state import outside_arrays, outside_from, outside_told
from clinic_mm.prep.batch import PreparedCases
from clinic_mm.prep.gaps import take
from clinic_mm.training.outside import FEWEST_PATIENTS, fit_cloud, fit_guard
from clinic_mm.types import Rejected
from tests.made import prepared, recipe

KINDS = ("record", "note")
ALARMS = 0.03


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _heard(cases: PreparedCases) -> Heard:
    return heard_of(cases, np.full((len(cases), len(KINDS), 2), 0.5), {})


@pytest.fixture(scope="module")
def outside() -> Outside:
    cases = prepared(KINDS, 120)
    guards = {name: fit_guard(prep, cases, name, ALARMS, 0) for name, prep in recipe(KINDS).preps.items()}
    return Outside({name: one for name, one in guards.items() if isinstance(one, Guard)})


def _with_far_record(cases: PreparedCases, case: int) -> PreparedCases:
    plain = cases.plain["record"].copy()
    plain[case] = plain[case] * 50 + 50
    return replace(cases, plain={**cases.plain, "record": plain})


def test_the_distance_is_that_of_the_shrunk_covariance(rng: np.random.Generator) -> None:
    x = rng.uniform(-1, 1, size=(200, 12)) @ rng.normal(size=(12, 12))
    cloud = fit_cloud(x)
    z = cloud.standard(x)  # none of these is wild
    plain = np.sqrt(LedoitWolf(assume_centered=True).fit(z).mahalanobis(z) / 12)
    np.testing.assert_allclose(cloud.distance(x), plain, rtol=1e-8)
    np.testing.assert_allclose(cloud.parts(x).sum(axis=1), 12 * plain**2, rtol=1e-8)


def test_a_missing_cell_adds_nothing_and_a_wild_one_is_found(rng: np.random.Generator) -> None:
    x = rng.normal(size=(300, 6))
    cloud = fit_cloud(x)
    one = np.array([[0.1, -0.2, np.nan, 0.3, 0.0, 0.1]])
    assert np.isfinite(cloud.distance(one)).all()
    assert cloud.parts(one)[0, 2] == 0
    one[0, 4] = 1e6
    assert cloud.distance(one)[0] > cloud.distance(x).max()
    assert cloud.parts(one)[0].argmax() == 4


def test_a_wild_training_case_does_not_widen_the_cloud(rng: np.random.Generator) -> None:
    x, new = rng.normal(size=(300, 6)), rng.normal(size=(50, 6))
    wild = np.vstack([x, np.full((3, 6), 1e6)])
    np.testing.assert_allclose(fit_cloud(wild).distance(new), fit_cloud(x).distance(new), rtol=0.15)


def test_what_lies_outside_is_rejected_and_the_rest_is_as_it_was(outside: Outside) -> None:
    cases = prepared(KINDS, 24, missing=0.0, seed=5)
    far = _with_far_record(cases, 7)
    after = attend(outside, recipe(KINDS), far, _heard(far))
    no = after.prepared.outcomes[7]["record"].no
    assert isinstance(no, Rejected)
    assert no.code in {"record.outside_training", "record.other_unit"}
    assert no.why
    assert no.mend
    assert not after.prepared.present[7, 0]
    assert np.isnan(after.prepared.plain["record"][7]).all()
    assert after.prepared.patterns()[7] == ("note",)
    assert after.percentile_of(7)["record"] == 100
    assert len(after.prepared.x["record"]) == after.prepared.present[:, 0].sum()
    np.testing.assert_array_equal(after.prepared.present, after.heard.present)
    before = attend(outside, recipe(KINDS), cases, _heard(cases))
    others = np.arange(24) != 7
    np.testing.assert_array_equal(before.prepared.present[others], after.prepared.present[others])


def test_a_task_may_flag_only(outside: Outside) -> None:
    far = _with_far_record(prepared(KINDS, 24, missing=0.0, seed=5), 7)
    after = attend(replace(outside, reject=False), recipe(KINDS), far, _heard(far))
    assert after.prepared.present.all()
    assert after.prepared.outcomes[7]["record"].no is None
    assert any(flag.code.startswith("record.o") for flag in after.prepared.outcomes[7]["record"].flags)


def test_one_case_is_judged_alone_as_among_many(outside: Outside) -> None:
    cases = prepared(KINDS, 40, seed=3)
    many = attend(outside, recipe(KINDS), cases, _heard(cases))
    for k in (0, 11, 39):
        one = _only(cases, k)
        alone = attend(outside, recipe(KINDS), one, _heard(one))
        np.testing.assert_array_equal(alone.percentile[0], many.percentile[k])
        np.testing.assert_array_equal(alone.prepared.present[0], many.prepared.present[k])


def _only(cases: PreparedCases, k: int) -> PreparedCases:
    return take(cases, np.array([k]))


def test_without_guards_nothing_happens() -> None:
    cases = prepared(KINDS, 10)
    heard = _heard(cases)
    after = attend(Outside(), recipe(KINDS), cases, heard)
    assert after.prepared is cases
    assert after.heard is heard
    assert after.percentile_of(0) == {}


def test_few_patients_keep_a_guard_silent_and_it_says_so() -> None:
    cases = prepared(KINDS, FEWEST_PATIENTS - 1, missing=0.0)
    said = fit_guard(recipe(KINDS).preps["note"], cases, "note", ALARMS, 0)
    assert isinstance(said, str)
    assert "too few" in said


def test_good_cases_are_seldom_taken_for_foreign(outside: Outside) -> None:
    cases = prepared(KINDS, 100, missing=0.0, seed=11)
    after = attend(outside, recipe(KINDS), cases, _heard(cases))
    assert (~after.prepared.present).mean(axis=0).max() <= 0.08


def test_guards_come_back_from_their_files_as_they_were(outside: Outside) -> None:
    told, arrays = outside_told(outside), outside_arrays(outside)
    back = outside_from(told, arrays)
    cases = _with_far_record(prepared(KINDS, 30, seed=2), 3)
    first, second = (attend(one, recipe(KINDS), cases, _heard(cases)) for one in (outside, back))
    np.testing.assert_array_equal(first.percentile, second.percentile)
    np.testing.assert_array_equal(first.prepared.present, second.prepared.present)
    assert outside_told(back) == told


@pytest.mark.parametrize("spoilt", ["rest", "axes"])
def test_a_damaged_cloud_is_refused(spoilt: str, rng: np.random.Generator) -> None:
    arrays: dict[str, Array] = fit_cloud(rng.normal(size=(50, 4))).to_arrays()
    arrays[spoilt] = np.zeros(1)
    with pytest.raises(ArtifactError, match="damaged"):
        Cloud.from_arrays(arrays)


def test_another_body_part_in_the_header_is_believed_where_the_case_is_far_off(outside: Outside) -> None:
    far = outside.guards["record"].far
    assert far is not None
    guard = Guard(far=replace(far, threshold=1e9), regions={"chest": 40})
    told = prepared(KINDS, 24, missing=0.0, seed=5)
    outcomes = tuple({**one, "record": replace(one["record"], region="head")} for one in told.outcomes)
    told = replace(told, outcomes=outcomes)
    after = attend(Outside({"record": guard}), recipe(KINDS), told, _heard(told))
    rejected = ~after.prepared.present[:, 0]
    np.testing.assert_array_equal(rejected, after.percentile[:, 0] >= 90)
    flags = [flag.code for one in after.prepared.outcomes for flag in one["record"].flags]
    assert flags.count("record.other_body_part") == (~rejected).sum()
