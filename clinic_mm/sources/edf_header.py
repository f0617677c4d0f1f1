"""Read and check the header of an EDF or BDF file before anything else touches the file.

In:  the path of an EDF, EDF+, BDF or BDF+ file.
Out: its header, where the file is as long as the header says and its numbers can be turned into volts.

Nothing here decodes a sample. MNE opens many damaged files quietly; this is the check in front of it.
Source: Kemp et al., Electroenceph Clin Neurophysiol 1992;82:391-393; EDF+ 2.1 (2003); BioSemi BDF.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from clinic_mm.errors import EvidenceError
from clinic_mm.types import Flag

FIXED_BYTES: Final = 256
SIGNAL_BYTES: Final = 256
VOLTAGE_UNITS: Final = frozenset({"uV", "µV", "μV", "mV", "V"})
ANNOTATIONS: Final = frozenset({"EDF Annotations", "BDF Annotations"})
MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
PLUS_PATIENT: Final = re.compile(r"(\S+) [MFX] (?:\d\d-[A-Z]{3}-\d{4}|X)(?: .*)?")
PLUS_START: Final = re.compile(r"Startdate (\d\d)-([A-Z]{3})-(\d{4})(?: .*)?")
MEND: Final = "Export the recording again from the EEG system"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EdfSignal:
    """One signal of the file, as its header has it."""

    label: str
    unit: str
    physical: tuple[float, float]
    digital: tuple[float, float]
    samples: int


@dataclass(frozen=True, slots=True)
class EdfHeader:
    """What the header says.

    Attributes:
        patient_id: First part of an EDF+ patient field, as written; "" where the field has another form.
        start: Local, without a zone; None where the header does not give a moment.
        record_s: Duration of one data record.
        signals: All but the annotation signals, with their position in the file.
    """

    kind: str
    patient_id: str
    start: datetime | None
    n_records: int
    record_s: float
    signals: tuple[tuple[int, EdfSignal], ...]
    flags: tuple[Flag, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length of the recording."""
        return self.n_records * self.record_s


def read_edf_header(path: Path) -> EdfHeader:
    """Read and check a header.

    Raises:
        EvidenceError: `eeg.header` (not such a header), `eeg.truncated` and `eeg.size` (file shorter or longer than
            it says), `eeg.no_duration`, `eeg.discontinuous` (gaps between records).
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(FIXED_BYTES)
        kind = "BDF" if head.startswith(b"\xffBIOSEMI") else "EDF"
        if len(head) < FIXED_BYTES or (kind == "EDF" and head[:8].strip() != b"0"):
            raise _bad("eeg.header", "This is not an EDF or BDF header")
        n_signals = _number(head[252:256], int, "number of signals")
        if not 0 < n_signals < 10_000:
            raise _bad("eeg.header", "The header gives no possible number of signals")
        signals = _signals(file.read(SIGNAL_BYTES * n_signals), n_signals)
        n_records, flags = _check_size(head, signals, size, 3 if kind == "BDF" else 2)
        record_s = _number(head[244:252], float, "duration of a record")
        if not 0 < record_s < math.inf or n_records <= 0:
            raise _bad("eeg.no_duration", "The header gives no positive duration")
        if head[192:197] in {b"EDF+D", b"BDF+D"}:
            _check_contiguous(file, signals, n_records, record_s, 3 if kind == "BDF" else 2)
    told = tuple((i, signal) for i, signal in enumerate(signals) if signal.label not in ANNOTATIONS)
    return EdfHeader(kind, patient_of(head), _start(head), n_records, record_s, told, flags)


def check_ranges(header: EdfHeader, keep: tuple[int, ...]) -> None:
    """Refuse signals whose numbers cannot be turned into volts.

    Args:
        header: As read.
        keep: Positions within `header.signals` that will be used.

    Raises:
        EvidenceError: `eeg.range` for equal physical or not ascending digital limits, `eeg.no_rate` without samples.
    """
    for _, signal in (header.signals[i] for i in keep):
        (low, high), (least, most) = signal.physical, signal.digital
        if low == high or not least < most or not all(map(math.isfinite, (low, high, least, most))):
            raise _bad("eeg.range", "A channel's limits make its numbers meaningless", signal.label)
        if signal.samples <= 0:
            raise _bad("eeg.no_rate", "A channel has no sampling rate", signal.label)


def patient_of(head: bytes) -> str:
    """The code in an EDF+ patient field; "" where the field is free text, which may well be a name."""
    found = PLUS_PATIENT.fullmatch(_text(head[8:88]))
    return found[1] if found else ""


def _signals(block: bytes, n: int) -> tuple[EdfSignal, ...]:
    if len(block) < SIGNAL_BYTES * n:
        raise _bad("eeg.truncated", "The file ends within its header")

    def column(start: int, width: int) -> list[bytes]:
        return [block[start * n + i * width : start * n + (i + 1) * width] for i in range(n)]

    labels, units = ([_text(cell) for cell in column(*place)] for place in ((0, 16), (96, 8)))
    limits = [[_number(cell, float, "signal limit") for cell in column(start, 8)] for start in (104, 112, 120, 128)]
    samples = [_number(cell, int, "samples in a record") for cell in column(216, 8)]
    return tuple(
        EdfSignal(labels[i], units[i], (limits[0][i], limits[1][i]), (limits[2][i], limits[3][i]), samples[i])
        for i in range(n)
    )


def _check_size(
    head: bytes, signals: tuple[EdfSignal, ...], size: int, sample_bytes: int
) -> tuple[int, tuple[Flag, ...]]:
    header_bytes = _number(head[184:192], int, "length of the header")
    if header_bytes != FIXED_BYTES + SIGNAL_BYTES * len(signals):
        raise _bad("eeg.header", "The header's length does not fit its number of signals")
    record_bytes = sample_bytes * sum(max(signal.samples, 0) for signal in signals)
    n_records = _number(head[236:244], int, "number of records")
    if record_bytes == 0:
        raise _bad("eeg.no_duration", "The records hold no samples")
    if n_records < -1 or n_records == 0:
        raise _bad("eeg.no_duration", "The header gives no possible number of records")
    if n_records == -1:  # the standard's mark of a recording that was not closed
        whole, rest = divmod(size - header_bytes, record_bytes)
        why = f"The recording was not closed; {whole} whole records were counted, {rest} bytes left over"
        return whole, (Flag(code="eeg.not_closed", why=why),)
    if size < header_bytes + n_records * record_bytes:
        raise _bad("eeg.truncated", "The file is shorter than its header says")
    if size > header_bytes + n_records * record_bytes:
        raise _bad("eeg.size", "The file is longer than its header says, so its samples may be shifted")
    return n_records, ()


def _check_contiguous(
    file: BinaryIO, signals: tuple[EdfSignal, ...], n_records: int, record_s: float, sample_bytes: int
) -> None:
    """EDF+D may hold gaps; each record says when it begins (EDF+ 2.2.4). Files without gaps are used."""
    at = next((i for i, signal in enumerate(signals) if signal.label in ANNOTATIONS), None)
    if at is None:
        raise _bad("eeg.discontinuous", "The recording is marked as interrupted, but does not say where")
    record_bytes = sample_bytes * sum(signal.samples for signal in signals)
    place = sample_bytes * sum(signal.samples for signal in signals[:at])
    first = None
    for record in range(n_records):
        file.seek(FIXED_BYTES + SIGNAL_BYTES * len(signals) + record * record_bytes + place)
        onset = _number(file.read(24).partition(b"\x14")[0].partition(b"\x15")[0], float, "onset of a record")
        first = onset if first is None else first
        if abs(onset - first - record * record_s) > min(0.01, record_s / 10):
            raise _bad("eeg.discontinuous", "The recording has gaps")


def _start(head: bytes) -> datetime | None:
    day, clock = (_text(head[place]).split(".") for place in (slice(168, 176), slice(176, 184)))
    try:
        hour, minute, second = (int(part) for part in clock)
        if _text(head[88:168]).startswith("Startdate X"):
            return None
        if (plus := PLUS_START.fullmatch(_text(head[88:168]))) and plus[2] in MONTHS:
            on = date(int(plus[3]), MONTHS.index(plus[2]) + 1, int(plus[1]))
        else:
            year = int(day[2])  # the standard's century: 85 to 99 and 00 to 84
            on = date(year + (1900 if year >= 85 else 2000), int(day[1]), int(day[0]))
        return datetime.combine(on, time(hour, minute, second))
    except (ValueError, IndexError):
        return None


def _number(cell: bytes, kind: Callable[[str], T], name: str) -> T:
    try:
        return kind(_text(cell))
    except ValueError:
        raise _bad("eeg.header", f"The header's {name} is not a number") from None


def _text(cell: bytes) -> str:
    return cell.decode("latin-1").replace("\0", " ").strip()


def _bad(code: str, what: str, where: str = "") -> EvidenceError:
    return EvidenceError(code, what, where, MEND)
