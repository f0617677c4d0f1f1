"""What is measured of an ECG is what is in it, at any rate, with any lead missing."""

from dataclasses import replace

import numpy as np
import pytest

from clinic_mm.errors import EvidenceError
from clinic_mm.prep.ecg import LEADS, EcgPrep, resampled
from clinic_mm.prep.ecg_beats import axis_deg, r_peaks
from clinic_mm.signals import EcgRecording
from clinic_mm.task import ModalityTask

PREP = EcgPrep.plan("tiny", ModalityTask(kind="ecg"))
QRS_S, ST_MV = 0.09, 0.3


def ecg(sfreq_hz: float = 500.0, seconds: float = 10.0, axis: float = 40.0, rate: float = 72.0) -> EcgRecording:
    """A triangle of 90 ms for a QRS, and a plateau of 0.3 mV in V1 to V3 behind it."""
    t = np.arange(round(seconds * sfreq_hz)) / sfreq_hz
    near = (t - 0.5 + 30 / rate) % (60 / rate) - 30 / rate
    qrs = np.clip(1 - np.abs(near) / (QRS_S / 2), 0, None)
    st = ((near > QRS_S / 2) & (near < 0.2)).astype(float)
    turn = np.radians(axis)
    one, two = np.cos(turn), np.cos(turn - np.pi / 3)
    size = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2, -0.8, -0.5, 0.4, 1.2, 1.4, 1.0]
    up = [0] * 6 + [ST_MV] * 3 + [0] * 3
    return EcgRecording((np.outer(size, qrs) + np.outer(up, st)).astype(np.float32), LEADS, sfreq_hz)


def measured(signal: EcgRecording) -> dict[str, float]:
    return dict(zip(PREP.plain_names, PREP(signal).plain.tolist(), strict=True))


@pytest.mark.parametrize("sfreq_hz", [250.0, 257.0, 500.0, 1000.0])
def test_rate_duration_axis_and_st_are_found_at_any_sampling_rate(sfreq_hz: float) -> None:
    found = measured(ecg(sfreq_hz))
    assert found["beats"] == 12
    assert found["heart rate"] == pytest.approx(72, abs=1)
    assert found["QRS duration"] == pytest.approx(1000 * QRS_S, abs=20)
    assert np.degrees(np.arctan2(found["axis sin"], found["axis cos"])) == pytest.approx(40, abs=3)
    assert found["ST V2"] == pytest.approx(ST_MV, abs=0.06)
    assert abs(found["ST V5"]) < 0.05
    assert found["R V5"] == pytest.approx(1.4, abs=0.1)
    assert found["S V1"] == pytest.approx(-0.8, abs=0.1)
    assert found["RR sd"] < 5


@pytest.mark.parametrize("angle", [-120.0, -30.0, 0.0, 59.0, 90.0, 170.0])
def test_the_axis_points_where_it_points(angle: float) -> None:
    signal = ecg(axis=angle)
    assert axis_deg(signal.millivolts.astype(float), LEADS) == pytest.approx(angle, abs=0.5)


def test_a_missing_lead_is_missing_and_the_rest_is_what_it_was() -> None:
    whole, lacking = PREP(ecg()), PREP(replace(ecg(), bad=("V4",)))
    at = LEADS.index("V4")
    assert np.isnan(lacking.x[at]).all()
    np.testing.assert_array_equal(np.delete(lacking.x, at, 0), np.delete(whole.x, at, 0))
    gone = {name for name, value in zip(PREP.plain_names, lacking.plain, strict=True) if np.isnan(value)}
    assert gone == {"R V4", "S V4", "ST V4", "T V4"}


def test_shape_is_kept_for_short_and_long_ones() -> None:
    for seconds in (6.0, 10.0, 25.0):
        x = PREP(ecg(seconds=seconds)).x
        assert x.shape == PREP.shape
        assert np.isnan(x).any() == (seconds < 10)


def test_swapped_arm_leads_are_suspected_and_a_right_axis_is_not() -> None:
    def codes(signal: EcgRecording) -> list[str]:
        return [flag.code for flag in PREP(signal).flags]

    signal = ecg()
    rows = signal.millivolts.copy()
    one, two, three, right, left, foot = rows[:6].copy()
    rows[:6] = -one, three, two, left, right, foot
    assert codes(signal) == []
    assert codes(replace(signal, millivolts=rows)) == ["ecg.arm_leads"]
    assert codes(ecg(axis=110.0)) == []


def test_noise_has_no_beats_and_numbers_that_are_none_are_refused() -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, (12, 2500))
    assert r_peaks(noise.astype(np.float32), 250.0).size == 0
    rows = ecg().millivolts.copy()
    rows[2, 5] = np.nan
    with pytest.raises(EvidenceError, match="no number"):
        PREP(replace(ecg(), millivolts=rows))


def test_resampling_keeps_a_slow_wave() -> None:
    t = np.arange(5000) / 500
    wave = np.sin(2 * np.pi * 3 * t)[None]
    np.testing.assert_allclose(
        resampled(wave, 500.0, 125.0)[0, 50:-50], np.sin(2 * np.pi * 3 * np.arange(1250) / 125)[50:-50], atol=0.01
    )
