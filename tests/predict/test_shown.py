"""Pictures shown wrongly and records in other units: found by what training alone taught, and told in words."""

import numpy as np
import pytest

from clinic_mm.predict.shown import Shown, pose
from clinic_mm.predict.unit_shift import UnitShift
from clinic_mm.prep.base import Mistake, make_prep
from clinic_mm.prep.xray import MISTAKES
from clinic_mm.signals import XrayImage
from clinic_mm.simulate.xray import render
from clinic_mm.sources.record.units import taken_for
from clinic_mm.training.outside import patient_folds
from clinic_mm.training.shown import fit_shown, told_apart
from clinic_mm.training.unit_shift import fit_unit_shift

N = 80
PREP = make_prep("xray", {"side": 128})
LABS = {"loinc:2345-7": ("mg/dL", 115.0, 0.2), "loinc:2160-0": ("mg/dL", 1.1, 0.2), "own:x": ("", 7.0, 0.1)}
RECORD = make_prep(
    "record",
    {
        "most": 8,
        "codes": [],
        "features": [["number", code, unit] for code, (unit, _, _) in LABS.items()],
        "summaries": ["last", "mean", "min", "max", "log count", "age h"],
    },
)


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """SIMULATED radiographs as prepared."""
    made = (render(0.0, np.random.default_rng(k))[0] for k in range(N + 20))
    return np.stack([PREP(XrayImage((one / 4095).astype(np.float32))).x for one in made])


@pytest.fixture(scope="module")
def shown(pictures: np.ndarray) -> Shown:
    found = fit_shown(PREP, pictures[:N], patient_folds(np.arange(N), 0), N, 0.02, flags=False)
    assert found is not None
    return found


@pytest.mark.parametrize("mistake", [one for one in MISTAKES if not one.only_flag], ids=lambda one: one.code)
def test_a_picture_shown_wrongly_is_found_and_named(mistake: Mistake, pictures: np.ndarray, shown: Shown) -> None:
    found = shown.find(pose(PREP, mistake.make(pictures[N:])), {one.code: one for one in MISTAKES})
    assert len(found) == 20
    assert sum(flag.code == mistake.code for flag in found.values()) >= 18
    assert mistake.words in next(flag.why for flag in found.values() if flag.code == mistake.code)


def test_good_pictures_are_left_alone(pictures: np.ndarray, shown: Shown) -> None:
    assert len(shown.find(pose(PREP, pictures[N:]), {one.code: one for one in MISTAKES})) <= 1


def test_a_negative_prepared_is_one_minus_the_prepared_positive() -> None:
    grey = (render(0.0, np.random.default_rng(1))[0] / 4095).astype(np.float32)
    negative = PREP(XrayImage(1 - grey)).x.astype(np.float32)
    np.testing.assert_allclose(negative, 1 - PREP(XrayImage(grey)).x.astype(np.float32), atol=2e-3)


def test_what_looks_alike_when_wrong_has_no_judge() -> None:
    noise = np.random.default_rng(0).random((60, 1, 128, 128)).astype(np.float16)
    fold = patient_folds(np.arange(60), 0)
    assert fit_shown(PREP, noise, fold, 60, 0.02, flags=True) is None
    assert abs(told_apart(PREP, noise, fold)["xray.mirrored"] - 0.5) < 0.25


def _records(n: int, seed: int) -> np.ndarray:
    """Plain summaries: last, mean, min, max, log count, age of each of three results."""
    rng = np.random.default_rng(seed)
    parts = []
    for _, middle, spread in LABS.values():
        last = middle * np.exp(spread * rng.normal(size=n))
        parts += [last, last, last * 0.95, last * 1.05, np.full(n, 0.7), rng.uniform(0, 24, n)]
    return np.stack(parts, axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def units() -> UnitShift:
    found = fit_unit_shift(RECORD, _records(200, 0), patient_folds(np.arange(200), 0), 200, 0.02)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("feature", "factor", "words"),
    [(0, 1 / 18.016, "in mmol/L"), (1, 88.4, "in umol/L"), (2, 10.0, "10 times too high")],
)
def test_another_unit_is_found_and_named(feature: int, factor: float, words: str, units: UnitShift) -> None:
    new = _records(50, 1)
    new[:, 6 * feature : 6 * feature + 4] *= factor
    found = units.find(new, "record")
    assert len(found) == 50
    assert words in found[0].why
    assert list(LABS)[feature] in found[0].why
    assert not any(character in found[0].why for character in ("115", "1.1 "))


def test_records_in_their_own_units_are_left_alone(units: UnitShift) -> None:
    assert len(units.find(_records(200, 2), "record")) <= 8
    nothing = np.full((1, len(RECORD.plain_names)), np.nan, np.float32)
    assert units.find(nothing, "record") == {}


def test_an_extreme_value_that_no_other_unit_explains_is_left_alone(units: UnitShift) -> None:
    extreme = _records(1, 3)
    extreme[:, :4] = 115.0 * 2.2  # nearly 4 SD; in any other unit it would be farther off
    assert units.find(extreme, "record") == {}


def test_what_a_unit_may_be_taken_for_is_mended_by_its_own_factor() -> None:
    glucose = {words: (scale, offset) for words, scale, offset in taken_for("loinc:2345-7", "mg/dL")}
    assert glucose["in mmol/L"][0] == pytest.approx(18.0156)
    assert "in mg/dL" not in glucose
    generic = {words for words, _, _ in taken_for("own:x", "")}
    assert {"10 times too high", "88.4 times too low"} <= generic
