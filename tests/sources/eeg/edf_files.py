"""EDF and BDF files for tests, written by edfio, and faults put into them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Final

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
SIGNAL_FIELDS: Final = {
    "label": (0, 16),
    "transducer": (16, 80),
    "unit": (96, 8),
    "physical_min": (104, 8),
    "physical_max": (112, 8),
    "digital_min": (120, 8),
    "digital_max": (128, 8),
    "prefilter": (136, 80),
    "samples": (216, 8),
    "reserved": (224, 32),
}
"""Where the fields of a signal lie, for one signal: place, width (EDF 1992)."""


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
    wide: bool = False,
    annotations: Sequence[tuple[float, float, str]] = ((1.5, 0.5, "spike"),),
) -> Path:
    """White noise; `wide` writes BDF; annotations () makes a plain file."""
    rng = np.random.default_rng(0)
    kind, file = (edfio.BdfSignal, edfio.Bdf) if wide else (edfio.EdfSignal, edfio.Edf)
    signals = [
        kind(
            scale * rng.standard_normal(seconds * sfreq_hz),
            sfreq_hz,
            label=label,
            physical_dimension=unit,
            physical_range=(-10 * scale, 10 * scale),
        )
        for label in labels
    ]
    recording = edfio.Recording(startdate=start[0]) if start else edfio.Recording()
    edf = file(
        signals,
        patient=patient or edfio.Patient(code="case_7", sex="F"),
        recording=recording,
        starttime=start[1] if start else time(0),
        data_record_duration=1,
        annotations=[edfio.EdfAnnotation(*one) for one in annotations],
    )
    edf.write(path)
    return path


def patch(path: Path, at: int, content: bytes) -> Path:
    whole = bytearray(path.read_bytes())
    whole[at : at + len(content)] = content
    path.write_bytes(whole)
    return path


@dataclass(frozen=True, slots=True)
class Parts:
    """Where everything lies in the bytes of a file, read without the code under test."""

    signals: int
    header: int
    records: int
    record: int
    annotations: tuple[int, int] | None

    def field(self, name: str, signal: int) -> tuple[int, int]:
        """First byte of a signal's field, and the one after its last."""
        place, width = SIGNAL_FIELDS[name]
        at = 256 + place * self.signals + signal * width
        return at, at + width


def parts_of(data: bytes) -> Parts:
    signals = int(data[252:256])
    width = 3 if data[:1] == b"\xff" else 2
    sizes = [width * int(data[256 + 216 * signals + 8 * i :][:8]) for i in range(signals)]
    labels = [data[256 + 16 * i :][:16].strip() for i in range(signals)]
    marks = [i for i, label in enumerate(labels) if label.endswith(b" Annotations")]
    within = (sum(sizes[: marks[0]]), sum(sizes[: marks[0] + 1])) if marks else None
    return Parts(signals, 256 * (signals + 1), int(data[236:244]), sum(sizes), within)


def move_records(path: Path, onsets: Sequence[float]) -> Path:
    """Make an EDF+D file whose records begin at these times; the first keeps its own."""
    data = bytearray(path.read_bytes())
    parts = parts_of(bytes(data))
    assert parts.annotations is not None
    data[192:197] = b"BDF+D" if data[:1] == b"\xff" else b"EDF+D"
    for number, onset in enumerate(onsets):
        at = parts.header + number * parts.record + parts.annotations[0]
        end = parts.header + number * parts.record + parts.annotations[1]
        tals = bytes(data[at:end]).split(b"\0")
        tals[0] = b"+%g\x14\x14" % onset
        packed = b"\0".join(one for one in tals if one)
        data[at:end] = packed.ljust(end - at, b"\0")
    path.write_bytes(data)
    return path


def without_annotations(data: bytes) -> bytes:
    """A plain EDF file: no annotation signal, so that no record says when it begins."""
    parts = parts_of(data)
    assert parts.annotations is not None
    n = parts.signals
    assert parts.annotations[1] == parts.record, "the annotation signal stands last"
    columns = [data[256 + place * n :][: width * (n - 1)] for place, width in SIGNAL_FIELDS.values()]
    records = [data[parts.header + i * parts.record :][: parts.annotations[0]] for i in range(parts.records)]
    head = data[:184] + b"%-8d" % (256 * n) + b" " * 44 + data[236:252] + b"%-4d" % (n - 1)
    return head + b"".join(columns) + b"".join(records)
