"""Open a recording of any format that MNE reads, without decoding it, and choose its EEG channels.

In:  the files of one recording.
Out: `Opened`: MNE's handle, the channels to take from it, start and patient code as the file has them.

Nothing here decodes samples or knows about cohorts. EDF and BDF pass our own header check first.
"""

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import mne

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.channels import ChannelPlan, channel_table, plan_channels
from clinic_mm.sources.edf_header import VOLTAGE_UNITS, check_ranges, read_edf_header
from clinic_mm.sources.eeg_trial import check_opens
from clinic_mm.types import Flag

FIF_MAGIC: Final = b"\x00\x00\x00\x64\x00\x00\x00\x1f\x00\x00\x00\x14"
NIHON_KOHDEN: Final = re.compile(rb"(?:EEG-\d{4}[A-Z]?|QI-403A|DAE-2100D) +V\d\d\.\d\d")
BRAINVISION: Final = b"Brain Vision Data Exchange Header File"
BRAINVISION_FILE: Final = re.compile(r"^\s*(?:DataFile|MarkerFile)\s*=\s*(.+?)\s*$", re.MULTILINE | re.IGNORECASE)
MAT_MAGIC: Final = (b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file", b"\x89HDF")
READERS: Final[dict[str, Callable[..., Any]]] = {
    "brainvision": mne.io.read_raw_brainvision,
    "eeglab": mne.io.read_raw_eeglab,
    "fif": mne.io.read_raw_fif,
    "nihonkohden": mne.io.read_raw_nihon,
}
UNTRIED: Final = frozenset({"eeglab", "fif", "nihonkohden"})
"""Binary formats whose readers crash or hang on damaged files: opened in the worker first."""
MEND: Final = "Export the recording again, or as EDF+"


@dataclass(frozen=True, slots=True)
class Opened:
    """A recording whose header has been read.

    Attributes:
        raw: MNE's handle; typed `Any` since MNE ships no types.
        picks: Positions of the chosen channels within `raw`.
        names: Their names.
        start: Aware where the format has a zone, otherwise local time at the site, None where unknown.
        patient_id: As the file has it, "" where it names none.
    """

    raw: Any
    picks: tuple[int, ...]
    names: tuple[str, ...]
    start: datetime | None
    patient_id: str
    flags: tuple[Flag, ...]


def format_of(path: Path) -> str | None:
    """`edf`, `brainvision`, `eeglab`, `fif`, `nihonkohden`, by the first bytes; None for anything else."""
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
    return None


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
    return _open_edf(path) if kind == "edf" else _open_other(path, kind)


@contextmanager
def guarded(seen: list[str] | None = None) -> Iterator[None]:
    """The border to MNE: whatever its readers raise becomes an EvidenceError; what they warn of is collected."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
    except EvidenceError:
        raise
    except Exception as error:  # noqa: BLE001 - MNE's readers raise anything
        why = f"MNE cannot read this recording ({type(error).__name__})"
        raise EvidenceError("eeg.unreadable", why, "", MEND) from None
    if seen is not None:
        seen.extend(str(one.message) for one in caught if issubclass(one.category, RuntimeWarning))


def _open_edf(path: Path) -> Opened:
    header = read_edf_header(path)
    labels = [signal.label for _, signal in header.signals]
    plan = plan_channels(labels, [signal.unit in VOLTAGE_UNITS for _, signal in header.signals])
    _need_channels(plan)
    check_ranges(header, plan.keep)
    rates = {header.signals[i][1].samples for i in plan.keep}
    flags = [*header.flags, *plan.flags]
    if len(rates) > 1:
        flags.append(Flag(code="eeg.mixed_rates", why="Channels of lower rate were resampled to the highest"))
    unwanted = sorted({label for i, label in enumerate(labels) if i not in plan.keep})
    read = mne.io.read_raw_bdf if header.kind == "BDF" else mne.io.read_raw_edf
    seen: list[str] = []
    with guarded(seen):
        # Other signals are left out, so that a faster ECG cannot force the EEG to its rate.
        source = _as_named(path, header.kind)
        raw = read(source, exclude=unwanted, preload=isinstance(source, BytesIO), verbose="ERROR")
    if len(raw.ch_names) != len(plan.keep):
        raise EvidenceError("eeg.unreadable", "MNE finds other channels than the header names", "", MEND)
    start = header.start if header.start and header.start.date() not in channel_table().no_date else None
    picks = tuple(range(len(plan.keep)))
    return Opened(raw, picks, plan.names, start, _code(header.patient_id), (*flags, *_warned(seen)))


def _open_other(path: Path, kind: str) -> Opened:
    companions(path)
    if kind in UNTRIED:
        check_opens(kind, path)
    seen: list[str] = []
    with guarded(seen):
        raw = READERS[kind](path, preload=False, verbose="ERROR")
        types, moment = raw.get_channel_types(), raw.info["meas_date"]
        about = raw.info["subject_info"]
    folder = path.resolve().parent
    if any(Path(name).resolve().parent != folder for name in raw.filenames if name is not None):
        raise EvidenceError("eeg.companion", "The recording names samples in another folder", "", MEND)
    plan = plan_channels(raw.ch_names, [one == "eeg" for one in types])
    _need_channels(plan)
    code = str(about.get("his_id") or "") if kind == "fif" and about else ""
    return Opened(raw, plan.keep, plan.names, _moment(moment, kind), _code(code), (*plan.flags, *_warned(seen)))


def _as_named(path: Path, kind: str) -> Path | BytesIO:
    # MNE goes by the suffix, and hospital exports often have none; bytes in memory need no closing.
    return path if path.suffix.lower() == f".{kind.lower()}" else BytesIO(path.read_bytes())


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


def _code(code: str) -> str:
    return "" if code.strip().upper() in channel_table().no_patient else code.strip()


def _warned(seen: Sequence[str]) -> tuple[Flag, ...]:
    if not seen:
        return ()
    return (Flag(code="eeg.reader_warning", why=f"MNE warned {len(seen)} times while reading"),)


def utc_start(start: datetime | None, zone: tzinfo) -> datetime | None:
    """A recording's start in UTC; a start without a zone is the site's."""
    if start is None:
        return None
    return (start if start.tzinfo else start.replace(tzinfo=zone)).astimezone(UTC)
