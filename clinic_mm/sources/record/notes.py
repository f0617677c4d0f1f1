"""Read clinical notes: text files, and plain text inside FHIR resources.

In:  `.txt` files, FHIR R4 files, or the cohort's own Parquet of notes.
Out: rows in NOTE_COLUMNS; `NoteText` with the notes of one patient, oldest first, cut to what was written by then.

Nothing here removes names from a text or judges what it says. What software drafted is refused (see `drafts`).
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Final

import pandas as pd

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import NOTE_COLUMNS, NoteText
from clinic_mm.sources.fhir.collect import Collector, collect, counted_in, without_cycles
from clinic_mm.sources.fhir.facts import facts_of
from clinic_mm.sources.fhir.notes import MAX_NOTE_BYTES, NOTE_TYPES, notes_of
from clinic_mm.sources.fhir.policy import Resource
from clinic_mm.sources.fhir.reading import Reading
from clinic_mm.sources.found import Found, rejection
from clinic_mm.sources.record.drafts import refuse_draft
from clinic_mm.sources.record.patient import extracted, known_by, of_one_patient, seen_in
from clinic_mm.sources.record.rows import NO_TIME, Note, in_order, note_frame, typed
from clinic_mm.types import Evidence, Flag, Rejected

PARQUET: Final = b"PAR1"
LATIN: Final = Flag(code="note.not_utf8", why="The text is not UTF-8; it was read as Latin-1")


def read_notes(files: Sequence[Path], zone: tzinfo, now: datetime | None = None) -> tuple[pd.DataFrame, list[Rejected]]:
    """Notes of all patients in FHIR files (DocumentReference, DiagnosticReport's presented form) and text files.

    Args:
        files: Bundles, single resources or bulk NDJSON; a `.txt` file is one undated note of a patient "".
        zone: Of the site, for times without a zone.
        now: Nothing was written after it; the present where None.

    Returns:
        Rows in NOTE_COLUMNS by patient and time, and what was left out, as `record.read_rows` says it. Troubles that
        a record reader meets too are counted by both.
    """
    reading = Reading(zone)
    collector: Collector[Note] = Collector(reading, lambda note: (note[0], "note", note[4]))

    def take(resource: Resource) -> None:
        collector.add(resource, notes_of(resource, reading) if resource["resourceType"] in NOTE_TYPES else ())
        if resource["resourceType"] == "Patient":
            facts_of(resource, reading)  # who it is, for what cannot have been written about them

    texts = [path for path in files if path.suffix.lower() == ".txt"]
    others = [path for path in files if path.suffix.lower() != ".txt"]
    with without_cycles():
        refused = collect(others, collector, take, NOTE_TYPES | {"Patient"}, "note")
        frame, _ = collector.finish(note_frame, now or datetime.now(UTC))
    rejected = [*refused, *counted_in(others, collector.troubles, "note")]
    read: list[Note] = []
    for path in texts:
        try:
            read.append(("", NO_TIME, "", _text(_content(path))[0], path.name))
        except EvidenceError as error:
            rejected.append(rejection(error, "note", path))
    return in_order(pd.concat([frame, note_frame(read)], ignore_index=True)), rejected


def find_texts(root: Path, root_name: str, files: Sequence[Path], zone: tzinfo) -> Iterator[Found]:
    """One undated `Found` for each text file; a table of files, or the folder, must say whose it is and when.

    Args:
        root: The folder looked through.
        root_name: Its name in the cohort.
        files: Text files below `root`.
        zone: Not used: a text file has no time of its own.
    """
    del zone
    for path in files:
        named = (path.relative_to(root).as_posix(),)
        try:
            content = _content(path)
            text, flags = _text(content)
        except EvidenceError as error:
            refused = Rejected(
                modality="note", code=error.code, why=error.what, mend=error.mend, root=root_name, paths=named
            )
            yield Found("", refused)
            continue
        evidence = Evidence(
            modality="note",
            root=root_name,
            paths=named,
            content_hash=hashlib.sha256(content).hexdigest(),
            flags=flags,
            meta={"characters": len(text)},
        )
        yield Found("", evidence)


def load(files: Sequence[Path], *, locator: str = "", until: datetime | None = None) -> NoteText:
    """The notes of one patient as one text, oldest first, a blank line between them.

    Args:
        files: The cohort's Parquet of notes (`locator` is the patient key), text files, or FHIR files (`locator` is
            the source's patient id, and may be empty where they hold one patient).
        locator: Whose notes.
        until: Notes after this moment are left out; None keeps all.

    Raises:
        EvidenceError: `note.empty`, `note.draft`, `note.too_large`, `note.not_text`, `note.several_patients`,
            `record.unreadable`, and those of FHIR files.
    """
    heads = [_head(path) for path in files]
    seen: tuple[Flag, ...] = ()
    if any(head == PARQUET for head in heads):
        frame = typed(pd.concat([extracted(path, locator, NOTE_COLUMNS) for path in files], ignore_index=True))
    elif any(head.lstrip()[:1] == b"{" or head[:2] == b"\x1f\x8b" for head in heads):
        frame, rejected = read_notes(files, UTC)
        if frame.empty and rejected:
            raise EvidenceError(rejected[0].code, rejected[0].why, "", rejected[0].mend)
        seen, frame = seen_in(rejected), of_one_patient(frame, locator, "note")
    else:
        return _joined([_text(_content(path)) for path in files])
    frame = in_order(frame[known_by(frame, until)])
    undated = int(frame["time"].isna().sum())
    flags = (*seen, Flag(code="note.undated", why=f"{undated} notes have no time")) if undated else seen
    kinds = [kind for kind in frame["kind"].unique() if kind]
    return _joined([(text, flags) for text in frame["text"]], kinds[0] if len(kinds) == 1 else "")


def _joined(texts: Sequence[tuple[str, tuple[Flag, ...]]], kind: str = "") -> NoteText:
    whole = "\n\n".join(text for text, _ in texts if text)
    if not whole:
        raise EvidenceError("note.empty", "There is no text", "", "Leave the note out, or give its text")
    flags = tuple(dict.fromkeys(flag for _, seen in texts for flag in seen))
    return NoteText(text=whole, kind=kind, flags=flags)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_NOTE_BYTES + 1)
    except OSError:
        raise EvidenceError("file.unreadable", "The file cannot be opened", "", "Check that it may be read") from None
    if len(content) > MAX_NOTE_BYTES:
        raise EvidenceError("note.too_large", "The text is larger than 4 MiB", "", "Give the note without attachments")
    return content


def _text(content: bytes) -> tuple[str, tuple[Flag, ...]]:
    if b"\0" in content:
        raise EvidenceError("note.not_text", "The file holds binary data", "", "Give plain text, UTF-8")
    flags: tuple[Flag, ...] = ()
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        text, flags = content.decode("latin-1").strip(), (LATIN,)
    if not text:
        raise EvidenceError("note.empty", "The file is empty", "", "Leave the note out, or give its text")
    refuse_draft(text)
    return text, flags


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4)
    except OSError:
        raise EvidenceError("file.unreadable", "The file cannot be opened", "", "Check that it may be read") from None
