"""EDF files for tests, written by edfio, and faults put into them."""

from collections.abc import Sequence
from datetime import date, time
from pathlib import Path

import edfio
import numpy as np

TEN_TWENTY = (
    "Fp1",
    "Fp2",
    "F7",
    "F3",
    "Fz",
    "F4",
    "F8",
    "T3",
    "C3",
    "Cz",
    "C4",
    "T4",
    "T5",
    "P3",
    "Pz",
    "P4",
    "T6",
    "O1",
    "O2",
)


def write_edf(
    path: Path,
    labels: Sequence[str] = TEN_TWENTY,
    *,
    unit: str = "uV",
    scale: float = 30.0,
    seconds: int = 4,
    sfreq_hz: int = 128,
    patient: edfio.Patient | None = None,
    start: tuple[date, time] | None = (date(2021, 3, 4), time(9, 30)),
) -> Path:
    rng = np.random.default_rng(0)
    signals = [
        edfio.EdfSignal(
            scale * rng.standard_normal(seconds * sfreq_hz),
            sfreq_hz,
            label=label,
            physical_dimension=unit,
            physical_range=(-10 * scale, 10 * scale),
        )
        for label in labels
    ]
    recording = edfio.Recording(startdate=start[0]) if start else edfio.Recording()
    edf = edfio.Edf(
        signals,
        patient=patient or edfio.Patient(code="case_7", sex="F"),
        recording=recording,
        starttime=start[1] if start else time(0),
        annotations=[edfio.EdfAnnotation(1.5, 0.5, "spike")],
    )
    edf.write(path)
    return path


def patch(path: Path, at: int, content: bytes) -> Path:
    whole = bytearray(path.read_bytes())
    whole[at : at + len(content)] = content
    path.write_bytes(whole)
    return path
