"""Render a latent into an ECG: the level of the ST segment, largest in V1 to V4.

In:  v, a random generator. Out: microvolts [12, 5000] and when each beat was; as a file, a DICOM 12-lead ECG.

Rate, its variability, axis, size of QRS and T, baseline and noise vary, independent of v, so that only the level of a
short stretch after the QRS tells it. Limb leads are made of I and II, as electrodes make them.
"""

from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from clinic_mm.simulate.case import Case
from clinic_mm.simulate.dicom_header import encode, header, uid_of

LEADS: Final = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
CODES: Final = (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8)
"""Of ISO/IEEE 11073-10101, as `2:1`: DICOM CID 3001."""

TWELVE_LEAD_ECG: Final = UID("1.2.840.10008.5.1.4.1.1.9.1.1")
SFREQ_HZ: Final = 500
DURATION_S: Final = 10
UV_PER_STEP: Final = 2.5
ST_UV: Final = 80.0
ST_PER_V_UV: Final = 60.0
"""The ST segment lies 80 + 60 v µV above the base where its field is largest."""

CHEST_QRS: Final = np.array([-0.9, -1.0, -0.2, 1.0, 1.4, 1.1])
CHEST_T: Final = np.array([-0.1, 0.7, 1.0, 0.9, 0.7, 0.5])
ST_FIELD: Final = np.array([0.1, 0.15, 0.6, 1.0, 1.0, 0.7, 0.3, 0.15])
"""Of I, II and V1 to V6."""

SHAPES: Final = {"p": (-0.16, 0.022), "q": (-0.022, 0.008), "r": (0.0, 0.011), "s": (0.024, 0.009), "t": (0.29, 0.045)}
"""When each wave is largest, from the R peak, and its width, in seconds."""

ST_S: Final = (0.05, 0.19)
"""Where the ST segment begins and ends, from the R peak; edges of 10 ms."""


def render(v: float, rng: np.random.Generator) -> tuple[Float[Array, "12 sample"], Float[Array, " beat"]]:
    """Render one ECG.

    Args:
        v: What the ST level encodes.
        rng: The case's random numbers for the ECG.

    Returns:
        Microvolts, and the R peak of each beat in seconds.
    """
    n = SFREQ_HZ * DURATION_S
    t = np.arange(n) / SFREQ_HZ
    beats = _beats(rng)
    angle, size = rng.uniform(0.1, 1.1), rng.uniform(700, 1500)
    frontal = np.array([np.cos(angle), np.cos(angle - np.pi / 3)])
    qrs = np.concatenate([frontal, CHEST_QRS * rng.uniform(0.8, 1.2, 6)]) * size
    wave_t = np.concatenate([frontal * 0.8, CHEST_T * rng.uniform(0.7, 1.3, 6)]) * rng.uniform(200, 420)
    wave_p = np.concatenate([frontal, [0.4, 0.4, 0.4, 0.4, 0.4, 0.4]]) * rng.uniform(60, 130)
    st = ST_FIELD * (ST_UV + ST_PER_V_UV * v)
    eight = np.zeros((8, n))
    for at in beats:
        eight += np.outer(wave_p, wave(t - at, "p"))
        eight += np.outer(qrs, wave(t - at, "r") - 0.12 * wave(t - at, "q") - 0.22 * wave(t - at, "s"))
        eight += np.outer(wave_t, wave(t - at, "t")) + np.outer(st, plateau(t - at))
    eight += rng.uniform(20, 120, (8, 1)) * np.sin(
        2 * np.pi * rng.uniform(0.1, 0.35) * t + rng.uniform(0, 6.28, (8, 1))
    )
    eight += rng.uniform(5, 15) * rng.standard_normal((8, n))
    one, two = eight[:2]
    limb = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    return np.concatenate([limb, eight[2:]]), beats


def _beats(rng: np.random.Generator) -> Float[Array, " beat"]:
    """R peaks: a rate between 50 and 100, breathing with it a little; none so near an end that it is cut."""
    rate, sway = rng.uniform(50, 100) / 60, rng.uniform(0.0, 0.05)
    at, found = rng.uniform(0.3, 0.6), []
    while at < DURATION_S - 0.55:
        found.append(at)
        at += (1 + sway * np.sin(2 * np.pi * 0.25 * at) + 0.01 * rng.standard_normal()) / rate
    return np.array(found)


def wave(t: Float[Array, " n"], name: str) -> Float[Array, " n"]:
    """One wave of a beat, at seconds from its R peak, largest 1."""
    at, width = SHAPES[name]
    return np.asarray(np.exp(-(((t - at) / width) ** 2) / 2))


def plateau(t: Float[Array, " n"]) -> Float[Array, " n"]:
    """The ST segment of a beat, level 1."""
    a, b = ST_S
    return np.asarray((np.tanh((t - a) / 0.01) - np.tanh((t - b) / 0.01)) / 2)


def write(case: Case, path: Path, at: datetime, v: float, rng: np.random.Generator, *, occasion: str) -> Array:
    """Write one DICOM file; R peaks are returned for the oracle.

    Source: DICOM PS3.3 A.34.3 (12-Lead ECG), C.10.9 (Waveform).
    """
    uv, beats = render(v, rng)
    ds = header(case, "ECG", TWELVE_LEAD_ECG, at, occasion=occasion)
    ds.SOPInstanceUID = uid_of(case, "ecg", occasion, "1")
    ds.InstanceNumber = 1
    ds.AcquisitionDateTime = at.strftime("%Y%m%d%H%M%S+0000")
    ds.SynchronizationTrigger = "NO TRIGGER"
    ds.AcquisitionTimeSynchronized = "N"
    ds.SynchronizationFrameOfReferenceUID = uid_of(case, "ecg", occasion, "clock")
    del ds.BodyPartExamined, ds.BurnedInAnnotation
    ds.WaveformSequence = Sequence([_group(uv)])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(ds))
    return beats


def _group(uv: Float[Array, "12 sample"]) -> Dataset:
    group = Dataset()
    group.WaveformOriginality = "ORIGINAL"
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = uv.shape
    group.SamplingFrequency = SFREQ_HZ
    group.MultiplexGroupLabel = "RHYTHM"
    group.WaveformBitsAllocated = 16
    group.WaveformSampleInterpretation = "SS"
    group.ChannelDefinitionSequence = Sequence(
        [_channel(f"2:{code}", lead) for code, lead in zip(CODES, LEADS, strict=True)]
    )
    stored = np.clip(np.rint(uv.T / UV_PER_STEP), -32768, 32767).astype("<i2")
    group.WaveformData = stored.tobytes()
    group["WaveformData"].VR = "OW"
    return group


def _channel(code: str, lead: str) -> Dataset:
    channel = Dataset()
    channel.ChannelSourceSequence = Sequence([_coded(code, "MDC", f"Lead {lead}")])
    channel.ChannelSensitivity = UV_PER_STEP
    channel.ChannelSensitivityUnitsSequence = Sequence([_coded("uV", "UCUM", "microvolt")])
    channel.ChannelSensitivityCorrectionFactor = 1
    channel.ChannelBaseline = 0
    channel.ChannelSampleSkew = 0
    channel.WaveformBitsStored = 16
    return channel


def _coded(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code
