"""Render a latent into an EEG: the amplitude of twelve spike-wave complexes at random times.

In:  v, a random generator. Out: microvolts [19, 4096] and the onsets; as a file, EDF+ (edfio).

Their number is fixed: a random rate would blur v by itself. Background, alpha rhythm and blinks vary, independent
of v, so that neither the overall power nor the largest value tells it.
"""

from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from edfio import Edf, EdfAnnotation, EdfSignal, Patient, Recording
from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm.simulate.case import Case

CHANNELS: Final = (
    *("Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "T7", "C3", "Cz"),
    *("C4", "T8", "P7", "P3", "Pz", "P4", "P8", "O1", "O2"),
)
"""The 19 channels of the 10-20 system."""

SPIKE_FIELD: Final = np.array(
    [0.8, 0.8, 0.7, 1.0, 1.0, 1.0, 0.7, 0.5, 0.8, 0.9, 0.8, 0.5, 0.4, 0.5, 0.5, 0.5, 0.4, 0.35, 0.35]
)
"""Generalised, largest over the frontal midline."""

ALPHA_FIELD: Final = np.array(
    [0.1, 0.1, 0.15, 0.15, 0.15, 0.15, 0.15, 0.3, 0.3, 0.3, 0.3, 0.3, 0.7, 0.8, 0.8, 0.8, 0.7, 1.0, 1.0]
)
BLINK_FIELD: Final = np.array([1.0, 1.0, 0.5, 0.35, 0.35, 0.35, 0.5, *[0.08] * 12])

SFREQ_HZ: Final = 128
DURATION_S: Final = 32
COMPLEXES: Final = 12
COMPLEX_S: Final = 0.6
AMPLITUDE_UV: Final = 100.0
AMPLITUDE_PER_V_UV: Final = 25.0
"""The spike of a complex reaches 100 + 25 v µV where the field is largest."""

SLOW_WAVE: Final = 0.022 / 0.075
"""Relative to the spike, so that a complex sums to nothing."""

RANGE_UV: Final = 1000.0


def complex_shape() -> Float[Array, " t"]:
    """One spike-wave complex of 0.6 s: a spike of 60 ms, then a slow wave of 300 ms; mean 0.

    The spike is -1: epileptiform spikes are negative at the scalp, and point up as EEG is drawn.
    """
    t = np.arange(round(COMPLEX_S * SFREQ_HZ)) / SFREQ_HZ
    return np.asarray(SLOW_WAVE * np.exp(-(((t - 0.3) / 0.075) ** 2) / 2) - np.exp(-(((t - 0.08) / 0.022) ** 2) / 2))


def render(v: float, rng: np.random.Generator) -> tuple[Float[Array, "channel sample"], Float[Array, " complexes"]]:
    """Render one recording.

    Args:
        v: What the complexes' amplitude encodes.
        rng: The case's random numbers for EEG.

    Returns:
        Microvolts, and the onset of each complex in seconds.
    """
    n = SFREQ_HZ * DURATION_S
    t = np.arange(n) / SFREQ_HZ
    uv = rng.uniform(10, 21) * (0.8 * pink(rng, len(CHANNELS), n) + 0.6 * pink(rng, 1, n))
    wax = 1 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.1, 0.3) * t + rng.uniform(0, 6.28))
    alpha = rng.uniform(5, 40) * wax * np.sin(2 * np.pi * rng.uniform(9, 11) * t + rng.uniform(0, 6.28))
    uv += ALPHA_FIELD[:, None] * alpha
    for i, at in enumerate(rng.uniform(0.5, DURATION_S - 1, 2 * int(rng.integers(1, 4)))):
        eyes_uv = rng.uniform(150, 400) * (-1) ** i  # blinks up, eye movements down
        uv += BLINK_FIELD[:, None] * eyes_uv * np.exp(-(((t - at) / 0.09) ** 2) / 2)
    slot = DURATION_S / COMPLEXES
    onsets = np.arange(COMPLEXES) * slot + rng.uniform(0, slot - COMPLEX_S, COMPLEXES)
    starts = np.rint(onsets * SFREQ_HZ).astype(int)
    bump = (AMPLITUDE_UV + AMPLITUDE_PER_V_UV * v) * SPIKE_FIELD[:, None] * complex_shape()
    for start in starts:
        uv[:, start : start + bump.shape[1]] += bump
    return np.clip(uv, -RANGE_UV, RANGE_UV), starts / SFREQ_HZ


def pink(rng: np.random.Generator, channels: int, n: int) -> Float[Array, "channel sample"]:
    """Noise whose power falls as 1/f above 1 Hz, standard deviation 1."""
    frequency = np.fft.rfftfreq(n, 1 / SFREQ_HZ)
    spectrum = rng.standard_normal((channels, len(frequency))) + 1j * rng.standard_normal((channels, len(frequency)))
    signal = np.fft.irfft(spectrum / np.sqrt(np.maximum(frequency, 1.0)), n)
    return np.asarray(signal / signal.std(axis=1, keepdims=True))


def write(case: Case, path: Path, at: datetime, v: float, rng: np.random.Generator) -> Float[Array, " complexes"]:
    """Write one EDF+ file; its patient code is the patient id, its times are UTC without a zone.

    Source: EDF+ specification (Kemp & Olivan 2003, doi:10.1016/S1388-2457(03)00123-8).
    """
    uv, onsets = render(v, rng)
    signals = [
        EdfSignal(row, SFREQ_HZ, label=f"EEG {name}", physical_dimension="uV", physical_range=(-RANGE_UV, RANGE_UV))
        for name, row in zip(CHANNELS, uv, strict=True)
    ]
    patient = Patient(
        code=case.patient_id, sex="F" if case.sex == "female" else "M", birthdate=case.birth_date, name="SIMULATED_CASE"
    )
    recording = Recording(startdate=at.date(), equipment_code="clinic_mm_simulate", additional=["SIMULATED"])
    path.parent.mkdir(parents=True, exist_ok=True)
    Edf(
        signals,
        patient=patient,
        recording=recording,
        starttime=at.time(),
        data_record_duration=1,
        annotations=[EdfAnnotation(0.0, None, "SIMULATED recording")],
    ).write(path)
    return onsets
