"""Render a latent into a heart sound: how loud a murmur is between the first sound and the second.

In:  v, a random generator. Out: samples at 2000 Hz and the moments of the first sounds; as a file, WAV of 16 bits.

Heart rate, gain, noise, breathing and the sounds themselves vary, independent of v, so that loudness does not tell it.
"""

import struct
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array
from scipy.signal import butter, sosfiltfilt

SFREQ_HZ: Final = 2000
DURATION_S: Final = 12.0
MURMUR_HZ: Final = (120.0, 320.0)
MURMUR: Final = 0.10
MURMUR_PER_V: Final = 0.025
"""Root mean square of the murmur's middle, 0.10 + 0.025 v of the first sound's height."""

MURMUR_S: Final = (0.10, 0.26)
"""Where it stands, after the onset of the first sound."""

S2_S: Final = 0.32
NOISE: Final = 0.02
COMMENT: Final = b"SIMULATED heart sound\0"


class Heart(NamedTuple):
    """What the oracle knows: onsets of the first sounds."""

    onsets_s: Float[Array, " beat"]


def render(v: float, rng: np.random.Generator) -> tuple[Float[Array, " sample"], Heart]:
    """Render one recording.

    Args:
        v: What the murmur's loudness encodes.
        rng: The case's random numbers for audio.

    Returns:
        Samples in shares of full scale, and where the beats are.
    """
    n = round(DURATION_S * SFREQ_HZ)
    period_s = 60 / rng.uniform(55, 100)
    beats = int((DURATION_S - 0.5) / period_s)
    onsets = 0.1 + period_s * np.arange(beats) + rng.normal(0, 0.01, beats).clip(-0.03, 0.03)
    breathing = 1 + 0.1 * np.sin(2 * np.pi * rng.uniform(0.2, 0.35) * onsets + rng.uniform(0, 6.28))
    s1_hz, s2_hz, s2_height = rng.uniform(38, 52), rng.uniform(55, 70), rng.uniform(0.5, 0.9)
    band = butter(4, MURMUR_HZ, "bandpass", fs=SFREQ_HZ, output="sos")
    hiss = sosfiltfilt(band, rng.standard_normal(n))
    hiss /= hiss.std()
    wave = NOISE * rng.standard_normal(n) + 0.02 * np.cumsum(rng.standard_normal(n)) / np.sqrt(n)
    height = max(MURMUR + MURMUR_PER_V * v, 0.005)
    start, stop = (round(s * SFREQ_HZ) for s in MURMUR_S)
    shape = np.sin(np.pi * (np.arange(stop - start) + 0.5) / (stop - start))
    for at, breath in zip((onsets * SFREQ_HZ).astype(int), breathing, strict=True):
        _add(wave, at, breath * _thump(s1_hz, 0.025))
        _add(wave, at + round(S2_S * SFREQ_HZ), breath * s2_height * _thump(s2_hz, 0.018))
        _add(wave, at + start, height * shape * hiss[at + start : at + stop])
    gain = 0.3 * np.exp(rng.normal(0, 0.35))
    return np.clip(gain * wave, -1.0, 1.0), Heart(onsets)


def _thump(hz: float, decay_s: float) -> Float[Array, " t"]:
    """A heart sound: a damped oscillation whose largest value is about 1."""
    t = np.arange(round(0.12 * SFREQ_HZ)) / SFREQ_HZ
    wave = np.sin(2 * np.pi * hz * t) * np.exp(-t / decay_s)
    return np.asarray(wave / np.abs(wave).max())


def _add(wave: Float[Array, " sample"], at: int, part: Float[Array, " t"]) -> None:
    room = max(0, len(wave) - at)
    wave[at : at + len(part)] += part[:room]


def write(path: Path, v: float, rng: np.random.Generator) -> Heart:
    """Write one WAV file: linear PCM, 16 bits, one channel; its comment says that it is simulated.

    Source: Multimedia Programming Interface and Data Specifications 1.0 (IBM & Microsoft 1991).
    """
    wave, heart = render(v, rng)
    samples = np.rint(wave * 32767).astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", 1, 1, SFREQ_HZ, 2 * SFREQ_HZ, 2, 16)
    info = b"INFO" + _chunk(b"ICMT", COMMENT)
    body = b"WAVE" + _chunk(b"fmt ", form) + _chunk(b"LIST", info) + _chunk(b"data", samples)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return heart


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
