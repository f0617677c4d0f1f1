"""Read and check the header of an EDF or BDF file before anything else touches the file.

In:  the path of an EDF, EDF+, BDF or BDF+ file.
Out: its header, where the file is as long as the header says and its numbers can be turned into volts.

Nothing here decodes a sample. Numbers are read as the standard writes them, in digits: what a lenient parser would
also take (underscores, `nan`, signs of other alphabets) is refused.
Source: Kemp et al., Electroenceph Clin Neurophysiol 1992;82:391-393; EDF+ 2.1 (2003); BioSemi BDF.
"""

import math
import re
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Final

from clinic_mm.errors import EvidenceError
from clinic_mm.types import Flag

FIXED_BYTES: Final = 256
SIGNAL_BYTES: Final = 256
ANNOTATIONS: Final = frozenset({"EDF Annotations", "BDF Annotations"})
MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
PLUS_PATIENT: Final = re.compile(r"(\S+) [MFX] (?:\d\d-[A-Z]{3}-\d{4}|X)(?: .*)?")
PLUS_START: Final = re.compile(r"Startdate (\d\d)-([A-Z]{3})-(\d{4})(?: .*)?")
WHOLE: Final = re.compile(r"[+-]?[0-9]+")
DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
CONTROL: Final = re.compile(rb"[\x01-\x1f\x7f]")
MEND: Final = "Export the recording again from the EEG system"


@dataclass(frozen=True, slots=True)
class EdfSignal:
    """One signal of the file, as its header has it.

    Attributes:
        place: Position of its first sample within a record, counted in samples of all signals.
    """

    label: str
    unit: str
    physical: tuple[float, float]
    digital: tuple[float, float]
    samples: int
    place: int

    @property
    def gain(self) -> float:
        """Units per step."""
        return (self.physical[1] - self.physical[0]) / (self.digital[1] - self.digital[0])

    @property
    def offset(self) -> float:
        """Units at the stored value 0."""
        return self.physical[0] - self.gain * self.digital[0]


@dataclass(frozen=True, slots=True)
class EdfHeader:
    """What the header says.

    Attributes:
        patient_id: First part of an EDF+ patient field, as written; "" where the field has another form.
        start: Local, without a zone; None where the header does not give a moment, or gives two.
        record_s: Duration of one data record.
        interrupted: Whether the file says that there may be gaps between records (EDF+D).
        signals: All but the annotation signals.
        annotations: The annotation signals.
    """

    kind: str
    patient_id: str
    start: datetime | None
    n_records: int
    record_s: float
    interrupted: bool
    signals: tuple[EdfSignal, ...]
    annotations: tuple[EdfSignal, ...]
    flags: tuple[Flag, ...] = ()

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return 3 if self.kind == "BDF" else 2

    @property
    def header_bytes(self) -> int:
        """Where the first record begins."""
        return FIXED_BYTES + SIGNAL_BYTES * (len(self.signals) + len(self.annotations))

    @property
    def record_bytes(self) -> int:
        """Bytes of one record."""
        return self.sample_bytes * sum(max(one.samples, 0) for one in (*self.signals, *self.annotations))


def read_edf_header(path: Path) -> EdfHeader:
    """Read and check a header.

    Raises:
        EvidenceError: `eeg.header` (not such a header), `eeg.truncated` and `eeg.size` (file shorter or longer than
            it says), `eeg.no_duration`, `eeg.no_rate`.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(FIXED_BYTES)
        kind = "BDF" if head.startswith(b"\xffBIOSEMI") else "EDF"
        if len(head) < FIXED_BYTES or (kind == "EDF" and head[:8].strip() != b"0"):
            raise _bad("eeg.header", "This is not an EDF or BDF header")
        n_signals = _whole(head[252:256], "number of signals")
        if not 0 < n_signals < 10_000:
            raise _bad("eeg.header", "The header gives no possible number of signals")
        block = file.read(SIGNAL_BYTES * n_signals)
    signals = _signals(block, n_signals)
    record_s = _decimal(head[244:252], "duration of a record")
    n_records, flags = _check_size(head, signals, size, 3 if kind == "BDF" else 2)
    if not 0 < record_s < math.inf or n_records <= 0:
        raise _bad("eeg.no_duration", "The header gives no positive duration")
    start, more = _start(head)
    flags += more
    if CONTROL.search(head[8:] + block):
        flags += (Flag(code="eeg.header_bytes", why="The header holds bytes that are no text: it may be damaged"),)
    told = tuple(one for one in signals if one.label not in ANNOTATIONS)
    notes = tuple(one for one in signals if one.label in ANNOTATIONS)
    interrupted = head[192:197] in {b"EDF+D", b"BDF+D"}
    return EdfHeader(kind, patient_of(head), start, n_records, record_s, interrupted, told, notes, flags)


def check_ranges(signals: tuple[EdfSignal, ...]) -> None:
    """Refuse signals whose numbers cannot be turned into volts.

    Raises:
        EvidenceError: `eeg.range` for equal physical or not ascending digital limits, `eeg.no_rate` without samples.
    """
    for signal in signals:
        (low, high), (least, most) = signal.physical, signal.digital
        if low == high or not least < most or not all(map(math.isfinite, (low, high, least, most))):
            raise _bad("eeg.range", "A channel's limits make its numbers meaningless")
        if signal.samples <= 0:
            raise _bad("eeg.no_rate", "A channel has no sampling rate")


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
    limits = [[_decimal(cell, "signal limit") for cell in column(start, 8)] for start in (104, 112, 120, 128)]
    samples = [_whole(cell, "samples in a record") for cell in column(216, 8)]
    places = [sum(samples[:i]) for i in range(n)]
    if min(samples) < 0:
        raise _bad("eeg.no_rate", "A signal has a negative number of samples")
    return tuple(
        EdfSignal(
            labels[i], units[i], (limits[0][i], limits[1][i]), (limits[2][i], limits[3][i]), samples[i], places[i]
        )
        for i in range(n)
    )


def _check_size(
    head: bytes, signals: tuple[EdfSignal, ...], size: int, sample_bytes: int
) -> tuple[int, tuple[Flag, ...]]:
    header_bytes = _whole(head[184:192], "length of the header")
    if header_bytes != FIXED_BYTES + SIGNAL_BYTES * len(signals):
        raise _bad("eeg.header", "The header's length does not fit its number of signals")
    record_bytes = sample_bytes * sum(signal.samples for signal in signals)
    n_records = _whole(head[236:244], "number of records")
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


def _start(head: bytes) -> tuple[datetime | None, tuple[Flag, ...]]:
    """The start, and a flag where the file's two start dates disagree: then neither is believed."""
    day, clock = (_text(head[place]).split(".") for place in (slice(168, 176), slice(176, 184)))
    plus = _text(head[88:168])
    try:
        hour, minute, second = (int(part) for part in clock)
        at = time(hour, minute, second)
        year = int(day[2])  # the standard's century: 85 to 99 and 00 to 84
        short = date(year + (1900 if year >= 85 else 2000), int(day[1]), int(day[0]))
    except (ValueError, IndexError):
        return None, ()
    if plus.startswith("Startdate X"):
        return None, ()
    try:
        found = PLUS_START.fullmatch(plus)
        long = date(int(found[3]), MONTHS.index(found[2]) + 1, int(found[1])) if found else short
    except ValueError:
        return None, (Flag(code="eeg.start_disagrees", why="One of the two start dates is no date"),)
    if long != short and year_known(long):
        return None, (Flag(code="eeg.start_disagrees", why="The file gives two start dates; neither is believed"),)
    return datetime.combine(long, at), ()


def year_known(day: date) -> bool:
    """Whether the two digits of the short date can say the year (EDF+ 2.1.3.4: 1985 to 2084)."""
    return 1985 <= day.year <= 2084


def _whole(cell: bytes, name: str) -> int:
    text = _text(cell)
    if not WHOLE.fullmatch(text):
        raise _bad("eeg.header", f"The header's {name} is not a number")
    return int(text)


def _decimal(cell: bytes, name: str) -> float:
    text = _text(cell)
    if not DECIMAL.fullmatch(text):
        raise _bad("eeg.header", f"The header's {name} is not a number")
    return float(text)


def _text(cell: bytes) -> str:
    return cell.decode("latin-1").replace("\0", " ").strip()


def _bad(code: str, what: str, where: str = "") -> EvidenceError:
    return EvidenceError(code, what, where, MEND)
