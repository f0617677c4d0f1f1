"""Read the ECG of a WFDB record: a header (.hea) and its samples (.dat), formats 16, 24, 32 and 212.

In:  the path of a header, its samples beside it. Out: an `EcgRecording` with its start.

Three formats of two to four bytes are a few lines; the package `wfdb` brings readers of web addresses and plotting.
Samples are held against the checksum of each signal. Records of several segments, of several rates and without a
stated gain are refused.
Source: WFDB Applications Guide, header(5) and signal(5), PhysioNet.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import EcgRecording
from clinic_mm.sources.ecg.checked import check_length, checked, no_leads
from clinic_mm.sources.ecg.leads import chosen, lead_name, millivolts_per

RECORD_LINE: Final = re.compile(
    r"(?P<name>[\w-]+)(?P<segments>/\d+)?[ \t]+(?P<signals>\d{1,4})"
    r"(?:[ \t]+(?P<rate>[\d.eE+-]+)(?:/[\d.eE+-]+(?:\([\d.eE+-]+\))?)?"
    r"(?:[ \t]+(?P<samples>\d{1,10})(?:[ \t]+(?P<time>[\d:.]+)(?:[ \t]+(?P<date>\d{1,2}/\d{1,2}/\d{4}))?)?)?)?\s*"
)
SIGNAL_LINE: Final = re.compile(
    r"(?P<file>\S+)[ \t]+(?P<format>\d+)(?P<odd>(?:x\d+)?(?::\d+)?)(?:\+(?P<skip>\d{1,6}))?"
    r"(?:[ \t]+(?P<gain>[\d.eE+-]+)(?:\((?P<baseline>-?\d+)\))?(?:/(?P<unit>\S+))?"
    r"(?:[ \t]+(?P<bits>\d+)(?:[ \t]+(?P<zero>-?\d+)(?:[ \t]+(?P<first>-?\d+)(?:[ \t]+(?P<sum>-?\d+)"
    r"(?:[ \t]+(?P<block>\d+)(?:[ \t]+(?P<label>.*))?)?)?)?)?)?)?\s*"
)
MISSING: Final = {16: -(2**15), 24: -(2**23), 32: -(2**31), 212: -(2**11)}
"""The stored value of each format that stands for no sample."""
MOST_HEADER_BYTES: Final = 65_536
MEND: Final = "Keep the .hea and its .dat together, or export the record again"


@dataclass(frozen=True, slots=True)
class WfdbSignal:
    """One line of the header.

    Attributes:
        gain: Stored steps per unit.
        baseline: The stored value that is 0 units.
        checksum: 16-bit sum of all stored values, None where the header gives none.
    """

    file: str
    format: int
    skip: int
    gain: float
    baseline: int
    unit: str
    checksum: int | None
    label: str


@dataclass(frozen=True, slots=True)
class WfdbHeader:
    """What a header says; `start` is local, None where it gives no moment."""

    sfreq_hz: float
    samples: int | None
    start: datetime | None
    signals: tuple[WfdbSignal, ...]


def is_wfdb_header(head: bytes) -> bool:
    """Whether bytes begin as a WFDB header does."""
    line = next((one for one in head.decode("latin-1").splitlines() if one.strip() and one[0] != "#"), "")
    return RECORD_LINE.fullmatch(line) is not None


def read_wfdb_header(path: Path) -> WfdbHeader:
    """Read and check a header.

    Raises:
        EvidenceError: `ecg.header`; `ecg.wfdb_form` for records of a form that is not read.
    """
    with path.open("rb") as file:
        text = file.read(MOST_HEADER_BYTES).decode("utf-8", "replace")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    record = RECORD_LINE.fullmatch(lines[0]) if lines else None
    if record is None:
        raise _bad("This is not a WFDB header")
    if record["segments"]:
        raise EvidenceError(
            "ecg.wfdb_form", "The record has several segments", "record line", "Give one of its segments"
        )
    signals = [SIGNAL_LINE.fullmatch(line) for line in lines[1 : 1 + int(record["signals"])]]
    if len(signals) != int(record["signals"]) or not signals:
        raise _bad("The header does not describe as many signals as it names")
    told = tuple(_signal(one) for one in signals)
    rate = _number(record["rate"]) if record["rate"] else 250.0  # the default of header(5)
    return WfdbHeader(rate, int(record["samples"]) if record["samples"] else None, _start(record), told)


def companions(path: Path, header: WfdbHeader) -> tuple[Path, ...]:
    """The header and the files with its samples.

    Raises:
        EvidenceError: `ecg.companion` if one is missing or is said to lie elsewhere.
    """
    names = list(dict.fromkeys(one.file for one in header.signals))
    if any(Path(name).name != name or "\\" in name for name in names):
        raise EvidenceError("ecg.companion", "The header names samples in another folder", "", MEND)
    files = [path.parent / name for name in names]
    if not all(file.is_file() for file in files):
        raise EvidenceError("ecg.companion", "The samples that the header names are missing", "", MEND)
    return (path, *files)


def read_wfdb_ecg(path: Path) -> tuple[EcgRecording, datetime | None]:
    """Read and check one record.

    Raises:
        EvidenceError: `ecg.header`, `ecg.wfdb_form`, `ecg.companion`, `ecg.truncated`, `ecg.checksum`, `ecg.unit`, and
            those of `checked`.
    """
    header = read_wfdb_header(path)
    companions(path, header)
    place, flags = chosen([lead_name(one.label) for one in header.signals])
    if not place:
        raise no_leads()
    rows: dict[str, Array] = {}
    for name in dict.fromkeys(header.signals[at].file for at in place.values()):
        mine = [at for at, one in enumerate(header.signals) if one.file == name]
        stored = _stored(path.parent / name, [header.signals[at] for at in mine], header)
        for lead, at in place.items():
            if at in mine:
                rows[lead] = _millivolts(stored[:, mine.index(at)], header.signals[at])
    if len({len(row) for row in rows.values()}) > 1:
        raise _short("The files of the record are not of one length")
    return checked({lead: rows[lead] for lead in place}, header.sfreq_hz, flags), header.start


def _stored(path: Path, signals: Sequence[WfdbSignal], header: WfdbHeader) -> Array:
    """Stored values [sample, signal] of one file, in which the samples of all its signals take turns."""
    kinds = {one.format for one in signals}
    if len(kinds) != 1 or not kinds <= set(MISSING):
        raise EvidenceError("ecg.wfdb_form", "The samples are in a format that is not read", "format", MEND)
    kind, count = kinds.pop(), len(signals)
    if header.samples:
        check_length(header.samples, header.sfreq_hz, count)
    size = path.stat().st_size - signals[0].skip
    held = size * 2 // 3 if kind == 212 else size // (kind // 8)
    n = header.samples or held // count
    check_length(n, header.sfreq_hz, count)
    if held < n * count:
        raise _short("The samples are fewer than the header says")
    with path.open("rb") as file:
        file.seek(signals[0].skip)
        data = np.frombuffer(file.read(-(-n * count * 3 // 2) if kind == 212 else n * count * kind // 8), np.uint8)
    return _decoded(data, kind, n * count).reshape(n, count)


def _decoded(data: Array, kind: int, count: int) -> Array:
    """Stored values, sign and all, signal(5)."""
    if kind in {16, 32}:
        return np.asarray(data.view(f"<i{kind // 8}")[:count].astype(np.int64))
    if kind == 24:
        low, middle, high = data[: count * 3].reshape(-1, 3).T.astype(np.int64)
        return np.asarray(_signed(low | middle << 8 | high << 16, 24))
    whole = np.zeros(-(-count // 2) * 3, np.uint8)  # an odd count ends after two bytes
    whole[: len(data)] = data[: len(whole)]
    first, mixed, second = whole.reshape(-1, 3).T.astype(np.int64)
    both = np.stack([first | (mixed & 0x0F) << 8, second | (mixed & 0xF0) << 4], axis=1)
    return np.asarray(_signed(both, 12).reshape(-1)[:count])


def _signed(values: Array, bits: int) -> Array:
    return np.asarray(values - ((values >> (bits - 1)) & 1) * 2**bits)


def _millivolts(stored: Array, signal: WfdbSignal) -> Array:
    if signal.checksum is not None and (int(stored.sum()) - signal.checksum) % 2**16:
        mend = "Copy the record again: its samples are not those that the header was written for"
        raise EvidenceError("ecg.checksum", "The samples do not have the sum that the header gives", "", mend)
    scale = millivolts_per(signal.unit)
    if not scale or not signal.gain:
        raise EvidenceError("ecg.unit", "Nothing says how many millivolts a stored value is", "gain, units", MEND)
    row = (stored - signal.baseline) / signal.gain * scale
    return np.where(stored == MISSING[signal.format], np.nan, row).astype(np.float32)


def _signal(found: re.Match[str] | None) -> WfdbSignal:
    if found is None:
        raise _bad("A signal's line cannot be read")
    if found["odd"]:
        raise EvidenceError("ecg.wfdb_form", "The signals are not sampled at one rate and moment", "format", MEND)
    zero = int(found["zero"] or 0)
    return WfdbSignal(
        file=found["file"],
        format=int(found["format"]),
        skip=int(found["skip"] or 0),
        gain=_number(found["gain"]) if found["gain"] else 0.0,
        baseline=int(found["baseline"]) if found["baseline"] else zero,
        unit=found["unit"] or "mV",
        checksum=int(found["sum"]) if found["sum"] else None,
        label=(found["label"] or "").strip(),
    )


def _start(record: re.Match[str]) -> datetime | None:
    if not record["date"]:
        return None
    try:
        clock = (record["time"] or "").partition(".")[0]
        return datetime.strptime(f"{record['date']} {clock}", "%d/%m/%Y %H:%M:%S")
    except ValueError:
        return None


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise _bad("A number of the header cannot be read") from None
    if not np.isfinite(value):
        raise _bad("A number of the header cannot be read")
    return value


def _bad(what: str) -> EvidenceError:
    return EvidenceError("ecg.header", what, "", MEND)


def _short(what: str) -> EvidenceError:
    return EvidenceError("ecg.truncated", what, "", MEND)
