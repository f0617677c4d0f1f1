"""Disturbed evidence: as bad as it is said to be, disturbed before it is prepared, the same for the same seed."""

import numpy as np
import pytest

from clinic_mm.cohort.manifest import Cohort, open_cohort
from clinic_mm.errors import EvidenceError, TaskError
from clinic_mm.predict.artifact import load_model
from clinic_mm.prep.batch import PreparedCases, Recipe, prepare_cases
from clinic_mm.prep.eeg import EegPrep
from clinic_mm.prep.gaps import hide, take
from clinic_mm.prep.noise import Disturbance, disturbed, noisy, spreads
from clinic_mm.prep.xray import plain_summary
from clinic_mm.signals import EegRecording, NoteText, PatientRecord, XrayImage
from tests import made
from tests.conftest import Trained


def _snr_db(clean: np.ndarray, worse: np.ndarray) -> float:
    return float(10 * np.log10(clean.var() / (worse - clean).var()))


@pytest.mark.parametrize("snr_db", [-3.0, 10.0])
def test_noise_is_as_strong_as_it_is_said_to_be(snr_db: float) -> None:
    volume, eeg = made.signal("ct"), made.signal("eeg")
    assert _snr_db(volume.hu, disturbed(volume, Disturbance("noise", snr_db), {}).hu) == pytest.approx(snr_db, abs=0.3)
    worse = disturbed(eeg, Disturbance("noise", snr_db), {})
    assert isinstance(eeg, EegRecording)
    for clean, row in zip(eeg.volts[:, :], worse.volts[:, :], strict=True):
        assert _snr_db(clean, row) == pytest.approx(snr_db, abs=1.5)


def test_each_number_of_a_record_is_spoilt_in_the_scale_of_its_parameter_and_nothing_else_is() -> None:
    cases = made.prepared(("record",), 30, missing=0.0)
    recipe = made.recipe(("record",))
    found = spreads(cases, recipe.preps["record"], "record")
    assert set(found) == {("lab", "mg/L")}
    labs = [("observation", "lab", 10.0, "", "mg/L", made.DECISION)] * 800
    record = made.facts(("demographic", "birth_date", np.nan, "1950-05-01", "", None), *labs)
    worse = disturbed(record, Disturbance("noise", 6.0), found)
    assert isinstance(worse, PatientRecord)
    assert worse.rows.drop(columns="value").equals(record.rows.drop(columns="value"))
    moved = (worse.rows["value"] - record.rows["value"])[record.rows["code"] == "lab"]
    assert moved.std() == pytest.approx(found["lab", "mg/L"] * 10 ** (-6 / 20), rel=0.1)
    assert worse.rows["value"].isna().sum() == 1


def test_a_number_that_cannot_be_negative_stays_so() -> None:
    record = made.signal("record")
    worse = disturbed(record, Disturbance("noise", -40.0), {("lab", "mg/L"): 10.0})
    assert (worse.rows["value"].dropna() >= 0).all()


def test_dead_channels_are_found_by_the_check_of_the_reader_and_are_missing() -> None:
    eeg, prep = made.signal("eeg"), EegPrep(made.TINY["eeg"])
    worse = disturbed(eeg, Disturbance("dead", 0.3), {})
    assert len(worse.bad) == round(0.3 * len(eeg.channels))
    assert any(flag.code == "eeg.flat_channel" for flag in worse.flags)
    assert np.isnan(prep(worse).x).all(axis=(0, 2)).sum() == len(worse.bad)
    with pytest.raises(EvidenceError):
        prep(disturbed(eeg, Disturbance("dead", 1.0), {}))


def test_a_blur_takes_the_fine_and_leaves_the_mean() -> None:
    image = made.signal("xray")
    assert isinstance(image, XrayImage)
    worse = disturbed(image, Disturbance("blur", 0.05), {})
    assert np.abs(np.diff(worse.grey)).mean() < 0.2 * np.abs(np.diff(image.grey)).mean()
    assert worse.grey.mean() == pytest.approx(image.grey.mean(), rel=0.05)


def test_the_share_of_words_lost_is_the_share_of_the_noise() -> None:
    note = NoteText(" ".join(["steady"] * 4000))
    worse = disturbed(note, Disturbance("noise", 0.0), {}).text.split(" ")
    assert np.mean([word == "steady" for word in worse]) == pytest.approx(0.5, abs=0.03)


@pytest.fixture(scope="module")
def cohort(trained: Trained) -> Cohort:
    return open_cohort(trained.cohort)


@pytest.fixture(scope="module")
def recipe(trained: Trained) -> Recipe:
    return load_model(trained.model)[0].recipe


@pytest.fixture(scope="module")
def cases(cohort: Cohort, recipe: Recipe) -> PreparedCases:
    return prepare_cases(cohort.cases("label")[:12], cohort.roots, recipe)


def test_tensor_and_summaries_tell_of_the_same_disturbed_signal(
    cases: PreparedCases, cohort: Cohort, recipe: Recipe
) -> None:
    worse = noisy(cases, recipe, cohort.roots, "xray", Disturbance("noise", 0.0))
    here = worse.present[:, worse.names.index("xray")]
    assert here.any()
    assert not np.allclose(worse.plain["xray"][here], cases.plain["xray"][here], atol=0.05)
    for x, plain in zip(worse.x["xray"], worse.plain["xray"][here], strict=True):
        np.testing.assert_allclose(plain_summary(x[0].astype(np.float32)), plain, atol=2e-3)
    for other in ("record", "note"):
        np.testing.assert_array_equal(worse.plain[other], cases.plain[other])
    np.testing.assert_array_equal(worse.present, cases.present)
    np.testing.assert_array_equal(worse.labels, cases.labels)


def test_the_same_seed_disturbs_alike_in_any_order_and_another_seed_otherwise(
    cases: PreparedCases, cohort: Cohort, recipe: Recipe
) -> None:
    order = np.arange(len(cases))[::-1]
    one = noisy(cases, recipe, cohort.roots, "record", Disturbance("noise", 3.0, seed=5))
    other = noisy(take(cases, order), recipe, cohort.roots, "record", Disturbance("noise", 3.0, seed=5))
    another = noisy(cases, recipe, cohort.roots, "record", Disturbance("noise", 3.0, seed=6))
    np.testing.assert_array_equal(take(one, order).plain["record"], other.plain["record"])
    assert not np.array_equal(one.plain["record"], another.plain["record"], equal_nan=True)


def test_what_was_hidden_stays_hidden(cases: PreparedCases, cohort: Cohort, recipe: Recipe) -> None:
    kept = np.ones_like(cases.present)
    kept[::2, cases.names.index("note")] = False
    worse = noisy(hide(cases, kept), recipe, cohort.roots, "note", Disturbance("noise", 3.0))
    np.testing.assert_array_equal(worse.present, cases.present & kept)
    assert np.isnan(worse.plain["note"][::2]).all()


def test_what_cannot_be_done_is_refused_before_any_case_is_lost(
    cases: PreparedCases, cohort: Cohort, recipe: Recipe
) -> None:
    for modality, how, level in (("xray", "dead", 0.5), ("eeg", "noise", 3.0), ("xray", "blur", 0.0)):
        with pytest.raises(TaskError):
            noisy(cases, recipe, cohort.roots, modality, Disturbance(how, level))  # type: ignore[arg-type]
