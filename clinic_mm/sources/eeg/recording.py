"""Read EEG recordings: EDF, EDF+, BDF, BrainVision, EEGLAB, FIF and Nihon Kohden.

In:  the files of one recording, or the files of a folder.
Out: an `EegRecording` in volts with 10-20 names and annotations, or for a folder one `Found` per recording.

Nothing here filters, re-references or repairs, and no unit is guessed: amplitudes that cannot be volts are refused.
A long recording stays in its file and is decoded page by page.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Final

import numpy as np

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import EegRecording
from clinic_mm.sources.eeg.annotations import Annotation, told
from clinic_mm.sources.eeg.channels import channel_table
from clinic_mm.sources.eeg.edf_samples import EdfPages
from clinic_mm.sources.eeg.opening import MEND, companions, format_of, open_recording, utc_start
from clinic_mm.sources.eeg.quality import Quality, judge
from clinic_mm.sources.found import Found
from clinic_mm.sources.place import content_hash, rejected, relative
from clinic_mm.types import Evidence

ONSET_TEXT: Final = re.compile(r"\+(\d+\.\d+)")
"""Nihon Kohden's EDF+ export writes the true onset as a text in front of the annotation."""


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
    recording = open_eeg(files)
    pages = recording.volts
    if pages.shape[0] * pages.shape[1] <= channel_table().values_held:
        recording = replace(recording, volts=np.asarray(pages))
    return with_quality(recording, judge_channels(recording, pages))


def open_eeg(files: Sequence[Path]) -> EegRecording:
    """Open one recording: its header, names and annotations, and its samples on demand; no channel is judged.

    Args:
        files: The recording and its companions, in any order.

    Raises:
        EvidenceError: Code and reason why it cannot be used; `eeg.too_long` beyond what we are willing to look through.
    """
    opened = open_recording(_leader(files))
    if opened.pages.shape[0] * opened.pages.shape[1] > channel_table().values:
        raise EvidenceError("eeg.too_long", "The recording is too long to be read", "", "Cut it into parts")
    interruptions = [(onset_s, length_s, "gap") for onset_s, length_s in opened.gaps if length_s]
    annotations, events = told([*_moved(opened.annotations), *interruptions])
    return EegRecording(
        volts=opened.pages,
        channels=opened.names,
        sfreq_hz=opened.sfreq_hz,
        annotations=annotations,
        flags=opened.flags,
        gaps=opened.gaps,
        events=events,
        others=opened.others,
    )


def judge_channels(recording: EegRecording, pages: object) -> Quality:
    """Judge every channel in one pass; `pages` is what `open_eeg` gave: it may know where the amplifier ends.

    Raises:
        EvidenceError: Those of `judge`: no channel is left, or none was ever in volts.
    """
    rails = pages.rails if isinstance(pages, EdfPages) else None
    return judge(recording.volts, recording.channels, recording.sfreq_hz, recording.segments, rails)


def with_quality(recording: EegRecording, quality: Quality) -> EegRecording:
    """The recording with its bad channels named."""
    return replace(recording, bad=quality.bad, flags=(*recording.flags, *quality.flags))


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
            yield Found("", rejected(error, "eeg", root_name, root, [path]))


def _look_at(path: Path, root: Path, root_name: str, zone: tzinfo) -> Found:
    paths: tuple[Path, ...] = (path,)
    try:
        paths = companions(path)
        opened = open_recording(path)
        acquired_at = utc_start(opened.start, zone)
        evidence = Evidence(
            modality="eeg",
            root=root_name,
            paths=relative(root, paths),
            acquired_at=acquired_at,
            content_hash=content_hash(paths),
            flags=opened.flags,
            meta={
                "sfreq_hz": opened.sfreq_hz,
                "n_channels": len(opened.names),
                "duration_s": round(opened.pages.shape[1] / opened.sfreq_hz, 3),
            },
        )
    except EvidenceError as error:
        return Found("", rejected(error, "eeg", root_name, root, paths))
    except OSError:
        gone = EvidenceError("file.unreadable", "The file cannot be opened", "", "Check that it may be read")
        return Found("", rejected(gone, "eeg", root_name, root, paths))
    return Found(opened.patient_id, evidence)


def _leader(files: Sequence[Path]) -> Path:
    known = [path for path in files if format_of(path) is not None]
    if len(known) != 1:
        what = "Among these files is no EEG recording" if not known else "These files are several recordings"
        raise EvidenceError("eeg.format", what, "", "Give one recording with its companions")
    return known[0]


def _moved(annotations: Iterable[Annotation]) -> Iterator[Annotation]:
    """Annotations at their true onsets."""
    said: dict[float, float] = {}
    for onset_s, length_s, text in annotations:
        if moved := ONSET_TEXT.fullmatch(text):
            said[onset_s] = float(moved[1])
        else:
            yield said.get(onset_s, onset_s), length_s, text
