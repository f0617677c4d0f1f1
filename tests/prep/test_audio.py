"""Sounds: the log-mel spectrogram is its equation, and how loud or at what rate it was recorded changes nothing."""

import math

import numpy as np
import pytest

from clinic_mm.errors import EvidenceError, TaskError
from clinic_mm.prep.audio import AudioPrep, repeating
from clinic_mm.prep.base import Prep, plan_prep
from clinic_mm.prep.log_mel import FLOOR, cepstrum, from_mel, log_mel, mel_filters, to_mel
from clinic_mm.signals import AudioRecording
from clinic_mm.simulate import audio as simulated
from clinic_mm.sources.audio.policy import sounds
from clinic_mm.task import ModalityTask


def prep(sound: str = "heart", size: str = "tiny") -> Prep[AudioRecording]:
    planned: Prep[AudioRecording] = plan_prep("audio", size, ModalityTask(kind="audio", sound=sound))
    return planned


def recorded(wave: np.ndarray, rate: float) -> AudioRecording:
    return AudioRecording(wave.astype(np.float32), rate)


def heart(seed: int = 0, v: float = 0.0) -> tuple[AudioRecording, np.ndarray]:
    wave, told = simulated.render(v, np.random.default_rng(seed))
    return recorded(wave, simulated.SFREQ_HZ), told.onsets_s


def test_log_mel_and_cepstrum_equal_the_plain_loops_of_their_equations() -> None:
    rng, n, hop, mels, rate = np.random.default_rng(0), 64, 24, 10, 2000.0
    x = rng.normal(0, 0.1, 400)
    given = log_mel(x, rate, n=n, hop=hop, mels=mels, low_hz=25.0, high_hz=900.0)
    edges = [
        700 * (10 ** ((to_mel(25) + (to_mel(900) - to_mel(25)) * i / (mels + 1)) / 2595) - 1) for i in range(mels + 2)
    ]
    window = [0.5 - 0.5 * math.cos(2 * math.pi * i / n) for i in range(n)]
    height = (sum(window) / 2) ** 2
    for frame, start in enumerate(range(0, len(x) - n + 1, hop)):
        bands = [0.0] * mels
        for k in range(n // 2 + 1):
            real = sum(window[i] * x[start + i] * math.cos(2 * math.pi * k * i / n) for i in range(n))
            imaginary = sum(window[i] * x[start + i] * math.sin(2 * math.pi * k * i / n) for i in range(n))
            for m in range(mels):
                up = (k * rate / n - edges[m]) / (edges[m + 1] - edges[m])
                down = (edges[m + 2] - k * rate / n) / (edges[m + 2] - edges[m + 1])
                weight = max(0.0, min(up, down))
                if not any(edges[m] < j * rate / n < edges[m + 2] for j in range(n // 2 + 1)):
                    weight = float(k == round(edges[m + 1] * n / rate))  # narrower than a bin
                bands[m] += weight * (real**2 + imaginary**2) / height
        for m in range(mels):
            assert given[m, frame] == pytest.approx(10 * math.log10(bands[m] + FLOOR), abs=1e-4)
        for q in range(1, 5):
            basis = [math.cos(math.pi * q * (2 * m + 1) / (2 * mels)) for m in range(mels)]
            loop = math.sqrt(2 / mels) * sum(b * float(given[m, frame]) for m, b in enumerate(basis))
            assert cepstrum(given, 4)[q - 1, frame] == pytest.approx(loop, abs=1e-4)
    assert given.shape[1] == 1 + (len(x) - n) // hop


@pytest.mark.parametrize("sound", sorted(sounds()))
def test_no_band_is_empty_and_a_tone_stands_in_its_own(sound: str) -> None:
    told = sounds()[sound]
    n = round(told.frame_s * told.rate_hz)
    filters = mel_filters(told.mels, n, told.rate_hz, told.low_hz, told.high_hz)
    assert filters.any(axis=1).all()
    assert told.high_hz <= told.rate_hz / 2
    assert from_mel(np.array(to_mel(440.0))) == pytest.approx(440.0)
    middles = from_mel(np.linspace(to_mel(told.low_hz), to_mel(told.high_hz), told.mels + 2))[1:-1]
    for band in (told.mels // 3, told.mels - 2):
        x = np.sin(2 * np.pi * middles[band] * np.arange(4 * n) / told.rate_hz)
        mel = log_mel(x, told.rate_hz, n=n, hop=n, mels=told.mels, low_hz=told.low_hz, high_hz=told.high_hz)
        assert abs(int(mel.mean(axis=1).argmax()) - band) <= 1


def test_gain_and_offset_change_nothing() -> None:
    sound, _ = heart()
    made = prep()
    one, other = made(sound), made(recorded(0.2 * sound.wave + 0.1, sound.sfreq_hz))
    np.testing.assert_allclose(one.x, other.x, atol=0.01)
    np.testing.assert_allclose(one.plain, other.plain, atol=0.02, rtol=0.01)


def test_another_sampling_rate_changes_hardly_anything() -> None:
    rng, seconds = np.random.default_rng(0), 5.0
    parts = [(hz, rng.uniform(0, 6.28), 1 / hz) for hz in rng.uniform(30, 800, 60)]

    def at(rate: int) -> AudioRecording:
        t = np.arange(round(seconds * rate)) / rate
        return recorded(sum(a * np.sin(2 * np.pi * hz * t + phase) for hz, phase, a in parts), rate)

    made = prep()
    one, other = made(at(2000)), made(at(44_100))
    assert np.abs(one.x.astype(float) - other.x).mean() < 0.02
    names = [name for name in made.plain_names if not name.startswith(("rate", "level", "zero"))]
    places = [made.plain_names.index(name) for name in names]
    np.testing.assert_allclose(one.plain[places], other.plain[places], atol=1.0)


@pytest.mark.parametrize("seed", range(4))
def test_the_heart_rate_is_found_in_the_envelope(seed: int) -> None:
    sound, onsets = heart(seed)
    plain = dict(zip(prep().plain_names, prep()(sound).plain, strict=True))
    truth = 60 / float(np.diff(onsets).mean())
    assert plain["rate per minute"] == pytest.approx(truth, rel=0.06)
    assert plain["rate strength"] > 0.5


def test_noise_has_no_rate_and_a_short_sound_none_at_all() -> None:
    rng = np.random.default_rng(0)
    assert repeating(rng.normal(size=600), 60.0)[1] < 0.3
    assert np.isnan(repeating(rng.normal(size=100), 60.0)).all()


def test_a_murmur_is_in_the_plain_summaries() -> None:
    made, v = prep(), np.linspace(-2, 2, 60)
    plain = np.stack([made(heart(seed, value)[0]).plain for seed, value in enumerate(v)])
    r = np.corrcoef(np.c_[plain, v].T)[-1, :-1]
    assert np.nanmax(np.abs(r)) > 0.8


@pytest.mark.parametrize(
    ("wave", "rate", "code"),
    [
        (np.sin(np.arange(40_000)), 1700.0, "audio.rate"),
        (np.sin(np.arange(4000)), 2000.0, "audio.too_short"),
        (np.full(8000, 0.3), 2000.0, "audio.silent"),
    ],
)
def test_what_does_not_serve_the_band_is_refused(wave: np.ndarray, rate: float, code: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        prep()(recorded(wave, rate))
    assert caught.value.code == code


def test_a_recording_shorter_than_a_window_is_filled_with_quiet() -> None:
    made = AudioPrep({**prep("cough").recipe})
    short = made(recorded(np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000.0))
    assert short.x.shape == made.shape
    assert (short.x[:, :, -1] == -4).all()
    assert np.isfinite(short.x).all()


def test_an_unknown_sound_is_answered_with_the_list() -> None:
    with pytest.raises(TaskError, match="Known: any, cough, heart, lung"):
        prep("hart")
