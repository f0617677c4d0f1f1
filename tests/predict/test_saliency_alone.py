"""What an expert says of each window by itself: of these samples and no others, none across a gap, never too short."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from clinic_mm.predict.saliency.eeg import eeg_saliency, eeg_settings
from clinic_mm.prep.eeg import CHANNELS, WINDOW_S
from clinic_mm.signals import EegRecording

RATE = 64.0


class Loudness:
    """Says how loud a recording is; keeps how long they were."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def one(self, signal: EegRecording) -> float:
        """Of one."""
        self.seconds.append(signal.volts.shape[1] / signal.sfreq_hz)
        return float(np.abs(signal.volts[:, :]).mean() * 1e5)

    def __call__(self, signals: Iterable[EegRecording]) -> np.ndarray:
        """Of many."""
        return np.array([self.one(signal) for signal in signals])


def recording(seconds: float, loud_s: float, gaps: Any = ()) -> EegRecording:  # noqa: ANN401
    volts = np.random.default_rng(0).normal(0, 1e-5, (len(CHANNELS), round(seconds * RATE))).astype(np.float32)
    volts[:, round(loud_s * RATE) : round((loud_s + 2) * RATE)] *= 20
    return EegRecording(volts=volts, channels=CHANNELS, sfreq_hz=RATE, gaps=gaps)


def test_a_window_is_judged_by_its_own_samples() -> None:
    ask, signal = Loudness(), recording(12.0, 8.0)
    found = eeg_saliency(ask, signal)  # type: ignore[arg-type]  # whatever can be asked
    alone, at = found.arrays["alone"], found.arrays["time_s"]
    assert alone.shape == at.shape
    assert 7.0 <= at[alone.argmax()] <= 11.0
    quiet = alone[at < 8.0 - WINDOW_S / 2 - 0.5]
    assert quiet.max() < 0.2 * alone.max(), "what is loud elsewhere is not heard"
    np.testing.assert_allclose(alone[0], np.abs(signal.volts[:, : round(WINDOW_S * RATE) + 1]).mean() * 1e5, rtol=1e-4)
    assert min(ask.seconds) >= WINDOW_S, "none is too short for the expert"
    assert eeg_settings()["alone_s"] == WINDOW_S


def test_across_a_gap_nothing_is_asked() -> None:
    found = eeg_saliency(Loudness(), recording(12.0, 1.0, gaps=((6.0, 0.0),)))  # type: ignore[arg-type]
    alone, at = found.arrays["alone"], found.arrays["time_s"]
    missing = at[np.isnan(alone)]
    assert missing.size
    assert np.abs(missing - 6.0).max() <= WINDOW_S / 2 + 0.5
    assert np.isfinite(alone[[0, -1]]).all()
