"""Fixations, saccades, blinks and pupil are those that were put in, at any rate."""

from dataclasses import replace

import numpy as np
import pytest

from clinic_mm.errors import EvidenceError
from clinic_mm.prep.eye import CHANNELS, EyePrep, even
from clinic_mm.prep.eye_moves import DISPERSION_DEG, FIXATION_S, blinks, bridged, fixations, pupil_summary, saccades
from clinic_mm.signals import GazeRecording
from clinic_mm.task import ModalityTask

PREP = EyePrep.plan("tiny", ModalityTask(kind="eye"))


def stepping(rate: float = 60.0, rest_s: float = 0.5, step_deg: float = 5.0, seconds: float = 20.0) -> GazeRecording:
    """Rests of one length, five degrees apart, back and forth, with jumps of 40 ms."""
    time_s = np.arange(round(seconds * rate)) / rate
    corners = np.arange(0, seconds + 1, rest_s + 0.04)
    place = step_deg * (np.arange(len(corners)) % 2)
    x = np.interp(time_s, np.stack([corners, corners + rest_s], 1).ravel(), place.repeat(2))
    x = x + 0.02 * np.random.default_rng(0).standard_normal(len(x))
    pupil = 4 + 0.2 * np.sin(2 * np.pi * 0.3 * time_s)
    y = np.zeros_like(x)
    gaze = (one.astype(np.float32) for one in (x, y, pupil))
    return GazeRecording(time_s, *gaze, "deg", "mm", rate, (1.0, 1.0))


def measured(gaze: GazeRecording) -> dict[str, float]:
    return dict(zip(PREP.plain_names, PREP(gaze).plain.tolist(), strict=True))


@pytest.mark.parametrize("rate", [30.0, 60.0, 250.0, 1000.0])
def test_rests_and_jumps_are_counted_and_measured(rate: float) -> None:
    found = measured(stepping(rate))
    assert found["fixations per min"] == pytest.approx(60 / 0.54, rel=0.04)
    assert found["fixation ms"] == pytest.approx(500, abs=40)
    assert found["saccade deg"] == pytest.approx(5, abs=0.2)
    assert found["saccades per min"] == pytest.approx(60 / 0.54, rel=0.06)
    assert 90 < found["saccade peak speed"] < 190
    assert found["path deg per s"] == pytest.approx(5 / 0.54, rel=0.06)


def test_fixations_are_those_of_a_plain_loop() -> None:
    """Salvucci and Goldberg's I-DT: a window that grows while its dispersion stays, else moves by one sample."""
    rng = np.random.default_rng(1)
    time_s = np.arange(600) / 60
    x, y = np.cumsum(rng.normal(0, 0.12, (2, 600)), axis=1)
    expected, at = [], 0
    while at < len(x):
        end = at
        while end + 1 < len(x) and sum(np.ptp(row[at : end + 2]) for row in (x, y)) <= DISPERSION_DEG:
            end += 1
        if time_s[end] - time_s[at] < FIXATION_S:
            at += 1
            continue
        expected.append((time_s[at], time_s[end], x[at : end + 1].mean(), y[at : end + 1].mean()))
        at = end + 1
    found = [(one.start_s, one.end_s, one.x_deg, one.y_deg) for one in fixations(time_s, x, y)]
    assert len(found) > 5
    np.testing.assert_allclose(found, expected)


def test_no_fixation_reaches_across_a_loss_and_no_saccade_across_a_long_one() -> None:
    time_s = np.arange(300) / 60
    x = np.zeros(300)
    x[100:115] = np.nan
    found = fixations(time_s, x, np.zeros(300))
    assert [(one.start_s, one.end_s) for one in found] == [(0.0, time_s[99]), (time_s[115], time_s[299])]
    assert saccades(found, time_s, x, np.zeros(300)) == []


def test_a_gap_of_the_clock_parts_fixations() -> None:
    time_s = np.arange(300) / 60
    time_s[150:] += 1.0
    assert len(fixations(time_s, np.zeros(300), np.zeros(300))) == 2


def test_blinks_have_the_length_of_blinks() -> None:
    time_s = np.arange(600) / 60
    seen = np.ones(600, bool)
    seen[100:112] = seen[200:260] = seen[300] = seen[:5] = False
    assert [round(at, 3) for at, _ in blinks(time_s, seen)] == [round(100 / 60, 3)]
    filled = bridged(time_s, np.where(seen, 1.0, np.nan))
    assert np.isfinite(filled[300])
    assert np.isnan(filled[105])


def test_the_pupil_is_the_same_in_every_unit() -> None:
    time_s = np.arange(1800) / 60
    pupil = 4 + 0.02 * time_s + 0.2 * np.sin(2 * np.pi * 0.3 * time_s)
    np.testing.assert_allclose(pupil_summary(time_s, pupil), pupil_summary(time_s, 250 * pupil), rtol=1e-6)
    bands = pupil_summary(time_s, pupil)[2:]
    assert bands.argmax() == 1
    own = replace(stepping(), pupil_unit="au")
    assert np.isnan(measured(own)["pupil mm"])
    assert measured(own)["pupil sd"] == pytest.approx(measured(stepping())["pupil sd"])


def test_without_degrees_only_pupil_and_blinks_are_left_and_without_these_nothing() -> None:
    bare = replace(stepping(), unit="px", deg_per_unit=None)
    found = measured(bare)
    assert np.isnan(found["fixations per min"])
    assert found["seen"] == 1
    x = PREP(bare).x
    assert np.isnan(x[:, CHANNELS.index("x")]).all()
    assert np.isfinite(x[:, CHANNELS.index("pupil")]).all()
    with pytest.raises(EvidenceError, match="neither gaze"):
        PREP(replace(bare, pupil=np.full_like(bare.pupil, np.nan)))


def test_what_was_lost_is_lost_in_the_windows() -> None:
    gaze = stepping(seconds=4.5)
    x = gaze.x.copy()
    x[120:150] = np.nan
    made = PREP(replace(gaze, x=x, y=np.where(np.isnan(x), np.nan, gaze.y).astype(np.float32)))
    assert made.x.shape == PREP.shape
    assert np.isnan(made.x[0, 0, 121:149]).all()
    assert np.isfinite(made.x[0, 0, :119]).all()


@pytest.mark.parametrize("rate", [30.0, 60.0, 90.0, 500.0])
def test_even_times_keep_a_slow_movement(rate: float) -> None:
    time_s = np.arange(round(8 * rate)) / rate + np.random.default_rng(0).uniform(0, 1e-4, round(8 * rate))
    grid = np.arange(8 * 60 - 4) / 60
    made = even(time_s, np.sin(time_s), grid)
    np.testing.assert_allclose(made[2:], np.sin(grid)[2:], atol=0.02)
