"""Read EEG recordings: EDF, EDF+, BDF, BrainVision, EEGLAB, FIF and Nihon Kohden, through MNE.

In:  the files of one recording, or the files of a folder.
Out: an `EegRecording` in volts with 10-20 names and annotations, or for a folder one `Found` per recording.

Nothing here filters, re-references or repairs, and no unit is guessed: amplitudes that cannot be volts are refused.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float64
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import EegRecording
from clinic_mm.sources.channels import channel_table
from clinic_mm.sources.eeg_open import MEND, Opened, companions, format_of, guarded, open_recording, utc_start
from clinic_mm.sources.found import Found
from clinic_mm.types import Evidence, Flag, Rejected

ONSET_TEXT: Final = re.compile(r"\+(\d+\.\d+)")
"""Nihon Kohden's EDF+ export writes the true onset as a text in front of the annotation."""
Annotation = tuple[float, float, str]


def load(files: Sequence[Path], *, locator: str = "", until: datetime | None = None) -> EegRecording:
    """Decode one recording.

    Args:
        files: The recording and its companions, in any order.
        locator: Not used: a file holds one recording.
        until: Not used: a recording is dated as a whole.

    Returns:
        Volts [channel, sample] as float32, EEG channels only.

    Raises:
        EvidenceError: Code and reason why it cannot be used.
    """
    del locator, until
    opened = open_recording(_leader(files))
    sfreq_hz = float(opened.raw.info["sfreq"])
    if sfreq_hz <= 0 or opened.raw.n_times == 0:
        raise EvidenceError("eeg.no_duration", "The recording holds no samples", "", MEND)
    if len(opened.picks) * opened.raw.n_times > channel_table().values:
        raise EvidenceError("eeg.too_long", "The recording is too long to decode at once", "", "Cut it into parts")
    with guarded():
        decoded = opened.raw.get_data(picks=list(opened.picks), verbose="ERROR")
    if not np.isfinite(decoded).all():
        raise EvidenceError("eeg.not_finite", "The recording holds values that are no numbers", "", MEND)
    return EegRecording(
        volts=np.ascontiguousarray(decoded, dtype=np.float32),
        channels=opened.names,
        sfreq_hz=sfreq_hz,
        annotations=_annotations(opened.raw),
        flags=(*opened.flags, *_judge(decoded, opened.names, sfreq_hz)),
    )


def find_eeg(root: Path, root_name: str, files: Sequence[Path], zone: tzinfo) -> Iterator[Found]:
    """One `Found` for each recording, from its header only.

    Args:
        root: The folder looked through.
        root_name: Its name in the cohort.
        files: Files below `root`; companions may be among them and are passed over.
        zone: Of the site, for starts without a zone.
    """
    sides: set[Path] = set()
    leaders = []
    for path in files:
        if format_of(path) is not None:
            leaders.append(path)
            try:
                sides.update(companions(path)[1:])
            except (EvidenceError, OSError):
                continue  # said once, when the recording itself is looked at
    for path in leaders:
        if path not in sides:
            yield _look_at(path, root, root_name, zone)
    for path in files:
        if path not in sides and path not in leaders:
            error = EvidenceError("eeg.format", "This is no EEG format that can be read, or has no header", "", MEND)
            yield Found("", _rejected(error, root, root_name, (path,)))


def _look_at(path: Path, root: Path, root_name: str, zone: tzinfo) -> Found:
    paths: tuple[Path, ...] = (path,)
    try:
        paths = companions(path)
        opened = open_recording(path)
        acquired_at = utc_start(opened.start, zone)
        evidence = Evidence(
            modality="eeg",
            root=root_name,
            paths=_relative(paths, root),
            acquired_at=acquired_at,
            content_hash=_hash(paths),
            flags=opened.flags,
            meta=_facts(opened),
        )
    except EvidenceError as error:
        return Found("", _rejected(error, root, root_name, paths))
    except OSError:
        gone = EvidenceError("file.unreadable", "The file cannot be opened", "", "Check that it may be read")
        return Found("", _rejected(gone, root, root_name, paths))
    return Found(opened.patient_id, evidence)


def _facts(opened: Opened) -> dict[str, Any]:
    sfreq_hz = float(opened.raw.info["sfreq"])
    return {
        "sfreq_hz": sfreq_hz,
        "n_channels": len(opened.names),
        "duration_s": round(opened.raw.n_times / sfreq_hz, 3),
    }


def _leader(files: Sequence[Path]) -> Path:
    known = [path for path in files if format_of(path) is not None]
    if len(known) != 1:
        what = "Among these files is no EEG recording" if not known else "These files are several recordings"
        raise EvidenceError("eeg.format", what, "", "Give one recording with its companions")
    return known[0]


def _judge(volts: Float64[Array, "channel sample"], names: Sequence[str], sfreq_hz: float) -> list[Flag]:
    """Refuse what was never in volts; flag single channels that were not, and flat ones."""
    table = channel_table()
    width = max(1, min(round(sfreq_hz), volts.shape[1]))
    whole = volts.shape[1] // width * width
    # Spread within seconds: slow drift of a direct-coupled amplifier is no wrong unit.
    spread = np.median(volts[:, :whole].reshape(len(volts), -1, width).std(axis=2), axis=1)
    flat = np.ptp(volts, axis=1) < table.flat_v
    if flat.all():
        raise EvidenceError("eeg.flat", "No channel has a signal", "", "Check the amplifier, or the export's scale")
    if float(np.median(spread)) > table.scale_v:
        what = f"Typical amplitude is {float(np.median(spread)) * 1e3:.0f} mV, which no EEG has"
        raise EvidenceError("eeg.scale", what, "", "The file's unit is probably wrong: export it in µV")
    flags = [Flag(code="eeg.flat_channel", why=f"No signal in {names[i]}") for i in np.flatnonzero(flat).tolist()]
    beyond = np.flatnonzero(spread > table.scale_v).tolist()
    large = [Flag(code="eeg.scale", why=f"Amplitudes that no EEG has in {names[i]}") for i in beyond]
    return flags + large


def _annotations(raw: Any) -> tuple[Annotation, ...]:  # noqa: ANN401 - MNE ships no types
    """Onsets in seconds from the first sample."""
    kept: list[Annotation] = []
    said: dict[float, float] = {}
    first_s = raw.first_samp / raw.info["sfreq"] if raw.annotations.orig_time is not None else 0.0
    for one in raw.annotations:
        onset_s, text = float(one["onset"]) - first_s, str(one["description"])
        if moved := ONSET_TEXT.fullmatch(text):
            said[onset_s] = float(moved[1])
        else:
            kept.append((said.get(onset_s, onset_s), float(one["duration"]), text))
    return tuple(sorted(kept, key=lambda one: one[0]))


def _rejected(error: EvidenceError, root: Path, root_name: str, paths: Sequence[Path]) -> Rejected:
    why = f"{error.what} ({error.where})" if error.where else error.what
    named = _relative(paths, root)
    return Rejected(modality="eeg", code=error.code, why=why, mend=error.mend, root=root_name, paths=named)


def _relative(paths: Sequence[Path], root: Path) -> tuple[str, ...]:
    return tuple(path.relative_to(root).as_posix() for path in paths)


def _hash(paths: Sequence[Path]) -> str:
    """SHA-256 of the files one after the other, the leading file first."""
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                total.update(block)
    return total.hexdigest()
