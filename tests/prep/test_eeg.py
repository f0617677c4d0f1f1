"""EEG becomes windows in units of 50 microvolts, average reference, the same from any sampling rate."""

import numpy as np
import pytest
from numpy import ndarray as Array
from scipy import signal as dsp

from clinic_mm.errors import EvidenceError
from clinic_mm.prep.base import make_prep
from clinic_mm.prep.eeg import CHANNELS, EegPrep
from clinic_mm.prep.eeg_summary import EegSummary
from clinic_mm.signals import EegRecording

SECONDS = 8


def _prep() -> EegPrep:
    prep = make_prep("eeg", {"windows": 3, "window_s": 2.0, "sfreq_hz": 128.0, "floor": 2})
    assert isinstance(prep, EegPrep)
    return prep


def _rhythms(sfreq_hz: float, channels: tuple[str, ...] = CHANNELS, seconds: float = SECONDS) -> EegRecording:
    """Each channel its own mix of rhythms, as an amplifier of this rate would see it."""
    rng, t = np.random.default_rng(0), np.arange(round(seconds * sfreq_hz)) / sfreq_hz
    waves = [
        sum(20e-6 * rng.random() * np.sin(2 * np.pi * hz * t + 6 * rng.random()) for hz in (3, 6, 10, 22))
        for _ in channels
    ]
    return EegRecording(np.array(waves, np.float32), channels, sfreq_hz)


@pytest.mark.parametrize("sfreq_hz", [100.0, 199.8, 200.0, 256.0, 500.0, 512.3])
def test_the_same_brain_at_another_sampling_rate_gives_the_same_windows(sfreq_hz: float) -> None:
    one, other = _prep()(_rhythms(128.0)), _prep()(_rhythms(sfreq_hz))
    a, b = one.x[1].astype(float), other.x[1].astype(float)  # the middle window: filters settle at the ends
    if sfreq_hz == int(sfreq_hz):
        assert np.abs(a - b).max() < 0.05 * np.abs(a).max()
    assert other.x.shape == _prep().shape
    np.testing.assert_allclose(one.plain, other.plain, atol=0.5)
    assert np.corrcoef(one.plain, other.plain)[0, 1] > 0.995


def test_a_signal_common_to_all_channels_is_taken_away_by_the_reference() -> None:
    plain = _rhythms(256.0)
    t = np.arange(plain.volts.shape[1]) / 256.0
    drift = EegRecording(plain.volts + (40e-6 * np.sin(2 * np.pi * 7 * t)).astype(np.float32), CHANNELS, 256.0)
    np.testing.assert_allclose(_prep()(drift).x, _prep()(plain).x, atol=5e-3)
    assert np.abs(_prep()(plain).x.astype(float).mean(axis=1)).max() < 5e-3


def test_the_unit_is_fifty_microvolts() -> None:
    t = np.arange(SECONDS * 256) / 256
    wave = 50e-6 * np.sin(2 * np.pi * 10 * t)
    x = _prep()(EegRecording(np.array([wave, -wave], np.float32), ("O1", "O2"), 256.0)).x[1]
    assert x[CHANNELS.index("O1")].max() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("how", ["not there", "flat", "not a number"])
def test_a_channel_without_signal_is_nan_flagged_and_no_part_of_the_reference(how: str) -> None:
    volts = _rhythms(128.0).volts.copy()
    gone = CHANNELS.index("T7")
    keep = np.arange(len(CHANNELS)) != gone
    alone = _prep()(EegRecording(volts[keep], tuple(np.array(CHANNELS)[keep]), 128.0))
    channels = CHANNELS if how != "not there" else tuple(np.array(CHANNELS)[keep])
    volts[gone] = {"not there": 0, "flat": 3e-5, "not a number": np.nan}[how]
    made = _prep()(EegRecording(volts if how != "not there" else volts[keep], channels, 128.0))
    assert np.isnan(made.x[:, gone]).all()
    assert np.isfinite(made.x[:, keep]).all()
    np.testing.assert_array_equal(made.x, alone.x)
    assert [(f.code, "T7" in f.why) for f in made.flags] == [("eeg.channels_missing", True)]
    named = dict(zip(_prep().plain_names, made.plain, strict=True))
    assert np.isfinite(named["alpha temporal"])
    assert len(made.plain) == len(_prep().plain_names)


def test_the_order_and_the_names_of_other_channels_do_not_matter() -> None:
    full = _rhythms(128.0)
    turned = EegRecording(
        np.vstack([np.ones((1, full.volts.shape[1]), np.float32), full.volts[::-1]]), ("ECG", *CHANNELS[::-1]), 128.0
    )
    np.testing.assert_allclose(_prep()(turned).x, _prep()(full).x, atol=1e-3)


def test_bands_are_where_the_rhythm_is() -> None:
    t = np.arange(SECONDS * 128) / 128
    wave = np.array([np.sin(2 * np.pi * 10 * t), np.sin(2 * np.pi * 10 * t + 2)], np.float32) * 30e-6
    named = dict(zip(_prep().plain_names, _prep()(EegRecording(wave, ("O1", "O2"), 128.0)).plain, strict=True))
    bands = {band: named[f"{band} occipital"] for band in ("delta", "theta", "alpha", "beta", "gamma")}
    assert max(bands, key=lambda band: bands[band]) == "alpha"
    assert np.isnan(named["alpha frontal"])


@pytest.mark.parametrize("seconds", [0.05, 0.1, 1.9])
def test_a_recording_shorter_than_a_window_is_rejected(seconds: float) -> None:
    with pytest.raises(EvidenceError, match="shorter than one window of 2 s") as caught:
        _prep()(_rhythms(128.0, seconds=seconds))
    assert caught.value.code == "eeg.too_short"


def test_a_recording_without_any_known_channel_is_rejected_with_the_mend() -> None:
    with pytest.raises(EvidenceError, match=r"eeg_channels\.toml") as caught:
        _prep()(_rhythms(128.0, ("X1", "X2")))
    assert caught.value.code == "eeg.no_1020"


def test_artefacts_are_clipped_so_that_half_precision_holds_them() -> None:
    volts: Array = _rhythms(128.0).volts.copy()
    volts[0, 400:420] = 0.5
    assert np.isfinite(_prep()(EegRecording(volts, CHANNELS, 128.0)).x).all()


def test_gathered_block_by_block_the_summary_is_that_of_the_whole() -> None:
    """Against the textbook's way on the same samples: quantiles by sorting, spectra by scipy."""
    rng = np.random.default_rng(0)
    rows = (rng.standard_normal((19, 128 * 60)) * rng.uniform(0.1, 2, (19, 1))).astype(np.float32)
    gathered = EegSummary(CHANNELS, 128.0)
    gathered.add(rows)
    names = _prep().plain_names
    made = dict(zip(names, gathered.finish(), strict=True))
    freqs, density = dsp.welch(rows, 128.0, nperseg=512, axis=1)
    alpha = np.log10(density[:, (freqs >= 8) & (freqs < 13)].mean(axis=1))
    assert made["alpha largest"] == pytest.approx(alpha.max(), abs=1e-4)
    for level in (0.5, 0.95, 0.995):
        exact = np.log10(np.quantile(np.abs(rows), level, axis=1))
        assert made[f"amplitude q{level:g} all"] == pytest.approx(exact.mean(), abs=1e-3)
    assert made["kurtosis all"] == pytest.approx(3.0, abs=0.1)
    back = [CHANNELS.index(name) for name in ("P3", "Pz", "P4", "O1", "O2")]
    front = [CHANNELS.index(name) for name in ("F3", "Fz", "F4", "C3", "Cz", "C4")]
    trace = rows[front].mean(axis=0)
    sharp = dsp.sosfiltfilt(dsp.butter(2, (5, 30), "bandpass", fs=128.0, output="sos"), trace)
    against = dsp.sosfiltfilt(
        dsp.butter(2, (5, 30), "bandpass", fs=128.0, output="sos"), trace - rows[back].mean(axis=0)
    )
    for level in (0.002, 0.01, 0.99, 0.998):
        assert made[f"sharp front q{level:g}"] == pytest.approx(np.quantile(sharp, level), rel=0.01)
        assert made[f"sharp front-back q{level:g}"] == pytest.approx(np.quantile(against, level), rel=0.01)
    halves = EegSummary(CHANNELS, 128.0)
    halves.add(rows[:, :3840])
    halves.add(rows[:, 3840:])
    np.testing.assert_allclose(halves.finish(), gathered.finish(), atol=0.03)
