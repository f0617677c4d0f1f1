"""Open a recording of any format, without decoding it, and choose its EEG channels.

In:  the files of one recording.
Out: `Opened`: its samples on demand, their names and rate, annotations, gaps, start and patient code.

Nothing here decodes samples or knows about cohorts. EDF and BDF are read by our own code, after our own header check;
all other formats by MNE, in a process of its own.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import Pages
from clinic_mm.sources.eeg.annotations import Annotation, annotation_code
from clinic_mm.sources.eeg.channels import ChannelPlan, channel_table, plan_channels, volts_per
from clinic_mm.sources.eeg.edf_header import EdfHeader, EdfSignal, check_ranges, read_edf_header
from clinic_mm.sources.eeg.edf_samples import EdfPages
from clinic_mm.sources.eeg.edf_times import read_times
from clinic_mm.sources.eeg.vendor import VendorPages, describe
from clinic_mm.types import Flag

FIF_MAGIC: Final = b"\x00\x00\x00\x64\x00\x00\x00\x1f\x00\x00\x00\x14"
NIHON_KOHDEN: Final = re.compile(rb"(?:EEG-\d{4}[A-Z]?|QI-403A|DAE-2100D) +V\d\d\.\d\d")
BRAINVISION: Final = b"Brain Vision Data Exchange Header File"
BRAINVISION_FILE: Final = re.compile(r"^\s*(?:DataFile|MarkerFile)\s*=\s*(.+?)\s*$", re.MULTILINE | re.IGNORECASE)
MAT_MAGIC: Final = (b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file", b"\x89HDF")
NEUROSCAN: Final = b"Version 3.0\0"
ODD_GAIN: Final = 1e-3
ODD_OFFSET: Final = 1e-3
"""How far from the median a channel's scale may lie: headers round their limits to eight characters."""
MEND: Final = "Export the recording again, or as EDF+"


@dataclass(frozen=True, slots=True)
class Opened:
    """A recording whose header has been read.

    Attributes:
        pages: Volts of the chosen channels, on demand.
        names: Their names.
        start: Aware where the format has a zone, otherwise local time at the site, None where unknown.
        patient_id: As the file has it, "" where it names none.
        annotations: As the file has them, onset from the first sample.
        gaps: (onset_s, duration_s) of interruptions.
        others: Label and kind of the signals that are no EEG.
    """

    pages: Pages
    names: tuple[str, ...]
    sfreq_hz: float
    start: datetime | None
    patient_id: str
    flags: tuple[Flag, ...]
    annotations: tuple[Annotation, ...]
    gaps: tuple[tuple[float, float], ...]
    others: tuple[tuple[str, str], ...]


def format_of(path: Path) -> str | None:
    """`edf`, `brainvision`, `eeglab`, `fif`, `nihonkohden`, by the first bytes; None for anything else.

    Neuroscan's `.cnt` is known by name only: MNE's reader of it ends the interpreter.
    """
    try:
        with path.open("rb") as file:
            head = file.read(256)
    except OSError:
        return None
    if head.startswith(b"\xffBIOSEMI") or (head.startswith(b"0  ") and head[184:192].strip().isdigit()):
        return "edf"
    if head.startswith(BRAINVISION):
        return "brainvision"
    if NIHON_KOHDEN.match(head):
        return "nihonkohden" if path.suffix.lower() == ".eeg" else None
    if head.startswith(FIF_MAGIC) or path.name.lower().endswith(".fif.gz"):
        return "fif"
    if path.suffix.lower() == ".set" and head.startswith(MAT_MAGIC):
        return "eeglab"
    return "neuroscan" if head.startswith(NEUROSCAN) else None


def companions(path: Path) -> tuple[Path, ...]:
    """The files that belong to a recording, itself first.

    Raises:
        EvidenceError: `eeg.companion` if one is missing or is said to lie elsewhere.
    """
    kind = format_of(path)
    if kind == "brainvision":
        return (path, *_brainvision_files(path))
    if kind == "nihonkohden":
        stem = path.stem.upper()
        return (path, *sorted(p for p in path.parent.iterdir() if p.stem.upper() == stem and p != path))
    if kind == "eeglab":
        return (path, *(p for p in (path.with_suffix(".fdt"), path.with_suffix(".FDT")) if p.is_file()))
    return (path,)


def open_recording(path: Path) -> Opened:
    """Open one recording.

    Args:
        path: The file that leads it (`.edf`, `.bdf`, `.vhdr`, `.set`, `.fif`, `.EEG`).

    Raises:
        EvidenceError: `eeg.format`, `eeg.unreadable`, `eeg.no_eeg_channels`, and those of the EDF header.
    """
    kind = format_of(path)
    if kind is None:
        raise EvidenceError("eeg.format", "This is no EEG format that can be read", "", MEND)
    if kind == "neuroscan":
        raise EvidenceError("eeg.neuroscan", "Neuroscan .cnt is not read", "", MEND)
    return _open_edf(path) if kind == "edf" else _open_other(path, kind)


def _open_edf(path: Path) -> Opened:
    header = read_edf_header(path)
    scale = [volts_per(signal.unit) for signal in header.signals]
    plan = plan_channels([signal.label for signal in header.signals], [one > 0 for one in scale])
    _need_channels(plan)
    check_ranges(tuple(header.signals[i] for i in plan.keep))
    same, flags = _one_rate(header, plan)
    keep, names = [plan.keep[i] for i in same], tuple(plan.names[i] for i in same)
    signals, units = [header.signals[i] for i in keep], [scale[i] for i in keep]
    flags = (*header.flags, *plan.flags, *flags, *_odd_ranges(signals, units, names))
    times = read_times(path, header)
    pages = EdfPages(path, header, signals, units, times.segments)
    _check_rate(pages.sfreq_hz)
    gaps = tuple(
        (before.onset_s + before.n_records * header.record_s, after.onset_s)
        for before, after in pairwise(times.segments)
    )
    start = header.start if header.start and header.start.date() not in channel_table().no_date else None
    return Opened(
        pages=pages,
        names=names,
        sfreq_hz=pages.sfreq_hz,
        start=start,
        patient_id=patient_code(header.patient_id),
        flags=(*flags, *times.flags),
        annotations=times.annotations,
        gaps=tuple((a, b - a) for a, b in gaps),
        others=plan.others,
    )


def _one_rate(header: EdfHeader, plan: ChannelPlan) -> tuple[list[int], tuple[Flag, ...]]:
    """The channels of the rate that most have (the higher one of two equally common), and a flag for the others."""
    samples = [header.signals[i].samples for i in plan.keep]
    often = Counter(samples)
    rate = max(often, key=lambda one: (often[one], one))
    same = [i for i, one in enumerate(samples) if one == rate]
    if len(same) == len(samples):
        return same, ()
    why = f"{len(samples) - len(same)} channels have another sampling rate than the most and were left out"
    return same, (Flag(code="eeg.mixed_rates", why=why),)


def _odd_ranges(signals: Sequence[EdfSignal], units: Sequence[float], names: Sequence[str]) -> tuple[Flag, ...]:
    """Channels of one amplifier share gain and offset; one that does not may have a damaged header field."""
    if len(signals) < 3:
        return ()
    gains = [signal.gain * unit for signal, unit in zip(signals, units, strict=True)]
    spans = [abs(signal.physical[1] - signal.physical[0]) * unit for signal, unit in zip(signals, units, strict=True)]
    offsets = [signal.offset * unit for signal, unit in zip(signals, units, strict=True)]
    gain, offset = median(gains), median(offsets)
    alike = [abs(one - gain) <= ODD_GAIN * abs(gain) for one in gains]
    if sum(alike) * 2 < len(signals):
        return ()  # an export with a scale of its own for each channel
    level = [abs(one - offset) <= max(ODD_OFFSET * span, abs(gain)) for one, span in zip(offsets, spans, strict=True)]
    odd = [name for name, a, b in zip(names, alike, level, strict=True) if not (a and b)]
    if not odd:
        return ()
    why = f"{', '.join(odd) if len(odd) <= 6 else f'{len(odd)} channels'}: another scale than the other channels have"
    return (Flag(code="eeg.odd_range", why=why),)


def _open_other(path: Path, kind: str) -> Opened:
    companions(path)
    told = describe(kind, path)
    folder = str(path.resolve().parent)
    if any(one != folder for one in told["folders"]):
        raise EvidenceError("eeg.companion", "The recording names samples in another folder", "", MEND)
    plan = plan_channels(told["labels"], [one == "eeg" for one in told["types"]])
    _need_channels(plan)
    _check_rate(told["sfreq_hz"])
    if told["samples"] <= 0:
        raise EvidenceError("eeg.no_duration", "The recording holds no samples", "", MEND)
    moment = datetime.fromisoformat(told["moment"]) if told["moment"] else None
    annotations = tuple((float(a), float(b), str(text)) for a, b, text in told["annotations"])
    warned = (Flag(code="eeg.reader_warning", why=f"MNE warned {told['warned']} times while reading"),)
    return Opened(
        pages=VendorPages(kind, path, plan.keep, told["samples"]),
        names=plan.names,
        sfreq_hz=told["sfreq_hz"],
        start=_moment(moment, kind),
        patient_id=patient_code(told["patient"]) if kind == "fif" else "",
        flags=plan.flags + (warned if told["warned"] else ()),
        annotations=annotations,
        gaps=tuple((at, 0.0) for at in _boundaries(annotations, told["samples"] / told["sfreq_hz"])),
        others=plan.others,
    )


def _boundaries(annotations: Sequence[Annotation], length_s: float) -> list[float]:
    """Where the format glues stretches together: EEGLAB's `boundary`, BrainVision's `New Segment`."""
    return sorted({at for at, _, text in annotations if annotation_code(text) == "boundary" and 0 < at < length_s})


def _check_rate(sfreq_hz: float) -> None:
    low, high = channel_table().rates_hz
    if not low <= sfreq_hz <= high:
        raise EvidenceError("eeg.no_rate", f"A sampling rate of {sfreq_hz:g} Hz is none of an EEG", "", MEND)


def _brainvision_files(path: Path) -> list[Path]:
    text = path.read_bytes().decode("utf-8", errors="replace")
    names = [name.replace("$b", path.stem) for name in BRAINVISION_FILE.findall(text)]
    if any(Path(name).name != name or "\\" in name for name in names):
        raise EvidenceError("eeg.companion", "The header names files in another folder", "", MEND)
    files = [path.parent / name for name in names]
    if not files or not all(file.is_file() for file in files):
        mend = "Keep .vhdr, .vmrk and .eeg together, under the names that the .vhdr gives"
        raise EvidenceError("eeg.companion", "A file that the header names is missing", "", mend)
    return files


def _need_channels(plan: ChannelPlan) -> None:
    if not plan.keep:
        seen = "; ".join(flag.why for flag in plan.flags)
        raise EvidenceError("eeg.no_eeg_channels", "No EEG channel was found", seen, "Check the channel labels")


def _moment(moment: datetime | None, kind: str) -> datetime | None:
    if moment is None or moment.date() in channel_table().no_date:
        return None
    return moment if kind == "fif" else moment.replace(tzinfo=None)  # only FIF says when in UTC


def patient_code(code: str) -> str:
    """A patient code as a header has it, "" where it is one of those that name nobody."""
    return "" if code.strip().upper() in channel_table().no_patient else code.strip()


def utc_start(start: datetime | None, zone: tzinfo) -> datetime | None:
    """A recording's start in UTC; a start without a zone is the site's."""
    if start is None:
        return None
    return (start if start.tzinfo else start.replace(tzinfo=zone)).astimezone(UTC)
