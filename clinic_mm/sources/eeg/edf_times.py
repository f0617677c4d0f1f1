"""Read what the annotation signals of EDF+ and BDF+ say: when each record begins, and what happened when.

In:  the path of a file and its checked header.
Out: the stretches without interruption, the annotations, and what was seen.

Records are never glued together across a gap, and a file that calls itself continuous while its records say
otherwise is refused. Source: EDF+ 2.1 (2003), 2.2.2 and 2.2.4 (time-stamped annotation lists, TALs).
"""

import math
import os
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.eeg.annotations import MOST, Annotation
from clinic_mm.sources.eeg.edf_header import MEND, EdfHeader
from clinic_mm.types import Flag

TAL: Final = re.compile(rb"([+-]\d{1,12}(?:\.\d*)?)(?:\x15(\d{1,12}(?:\.\d*)?))?\x14((?:[^\x14]*\x14)+)", re.DOTALL)
MOST_RECORDS: Final = 500_000
"""Five records a second over a day are fewer; each costs some microseconds."""
LONGEST_S: Final = 31 * 86_400.0
"""A recording that would span more than a month has a damaged time."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Records in one piece: the first of them, how many, and when it begins, from the start of the recording."""

    record: int
    n_records: int
    onset_s: float


@dataclass(frozen=True, slots=True)
class EdfTimes:
    """What a file says of its times."""

    segments: tuple[Segment, ...]
    annotations: tuple[Annotation, ...] = ()
    flags: tuple[Flag, ...] = ()


def read_times(path: Path, header: EdfHeader) -> EdfTimes:
    """Read the times of all records and all annotations.

    Raises:
        EvidenceError: `eeg.discontinuous` (marked as interrupted, but does not say where), `eeg.times` (records that
            overlap, go back, or contradict the file's own mark of being continuous), `eeg.too_long`.
    """
    whole = (Segment(0, header.n_records, 0.0),)
    if not header.annotations:
        if header.interrupted:
            raise _bad("eeg.discontinuous", "The recording is marked as interrupted, but does not say where")
        return EdfTimes(whole)
    if header.n_records > MOST_RECORDS:
        raise EvidenceError("eeg.too_long", "The recording has too many records", "", "Cut it into parts")
    onsets, annotations, damaged = _read(path, header)
    flags: tuple[Flag, ...] = ()
    if damaged:
        flags = (Flag(code="eeg.annotations_damaged", why=f"{damaged} annotations cannot be read"),)
    if any(math.isnan(onset) for onset in onsets):
        if header.interrupted:
            raise _bad("eeg.discontinuous", "The recording is marked as interrupted, but does not say where")
        flags += (Flag(code="eeg.record_times", why="Not every record says when it begins"),)
        return EdfTimes(whole, annotations, flags)
    segments = _segments(onsets, header.record_s)
    if len(segments) > 1:
        if not header.interrupted:
            raise _bad("eeg.times", "The file says that it is continuous, its records say that it is not")
        lost = segments[-1].onset_s + segments[-1].n_records * header.record_s - header.n_records * header.record_s
        why = f"{len(segments) - 1} gaps, {lost:.1f} s in all, are kept as missing"
        flags += (Flag(code="eeg.gaps", why=why),)
    first = onsets[0]
    if not 0 <= first < 1:  # the standard's place for the part of a second that the start time cannot hold
        flags += (Flag(code="eeg.record_times", why=f"The first record begins {first:.1f} s beside the start"),)
    moved = tuple((onset - first, length, text) for onset, length, text in annotations)
    return EdfTimes(segments, moved, flags)


def _segments(onsets: list[float], record_s: float) -> tuple[Segment, ...]:
    tolerance = min(0.01, record_s / 10)
    starts = [0]
    for record, (before, after) in enumerate(pairwise(onsets), start=1):
        late_s = after - before - record_s
        if late_s < -tolerance:
            raise _bad("eeg.times", "Records overlap, or go back in time")
        if late_s > tolerance:
            starts.append(record)
    if onsets[-1] - onsets[0] > LONGEST_S:
        raise _bad("eeg.times", "The records would span more than a month")
    ends = [*starts[1:], len(onsets)]
    return tuple(Segment(a, b - a, onsets[a] - onsets[0]) for a, b in zip(starts, ends, strict=True))


def _read(path: Path, header: EdfHeader) -> tuple[list[float], tuple[Annotation, ...], int]:
    onsets: list[float] = []
    annotations: list[Annotation] = []
    damaged = 0
    first, record_bytes = header.header_bytes, header.record_bytes
    file = os.open(path, os.O_RDONLY)
    try:
        for record in range(header.n_records):
            at = first + record * record_bytes
            for number, signal in enumerate(header.annotations):
                size = signal.samples * header.sample_bytes
                cells = os.pread(file, size, at + signal.place * header.sample_bytes).split(b"\0")
                found = [TAL.fullmatch(cell) for cell in cells if cell]
                damaged += sum(one is None for one in found)
                if number == 0:  # the first list of a record says when the record begins
                    keeps = bool(found) and found[0] is not None
                    onsets.append(float(found[0][1]) if found and found[0] and keeps else math.nan)
                if len(annotations) < MOST:
                    annotations += [said for one in found if one for said in _said(one)]
    finally:
        os.close(file)
    return onsets, tuple(annotations), damaged


def _said(found: re.Match[bytes]) -> list[Annotation]:
    onset_s, length_s = float(found[1]), float(found[2] or 0)
    return [(onset_s, length_s, _text(part)) for part in found[3].split(b"\x14") if part]


def _text(part: bytes) -> str:
    try:
        return part.decode("utf-8")  # EDF+ 2.2.2; older systems wrote Latin-1
    except UnicodeDecodeError:
        return part.decode("latin-1")


def _bad(code: str, what: str) -> EvidenceError:
    return EvidenceError(code, what, "", MEND)
