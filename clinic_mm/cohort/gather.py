"""Look through one source: walk it, tell each file's kind, hand the files to the readers, say whose each finding is.

In:  a source of the ingest file. Out: findings with the source's own patient id, and rows of records and notes.

Nothing here keys or writes anything, and no bad file stops it (see `guard`).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from clinic_mm.cohort.guard import guarded
from clinic_mm.cohort.owned import Gathered, Owned, Place
from clinic_mm.cohort.read_rows import read_rows
from clinic_mm.cohort.spec import KNOWN_TABLES, SourceSpec
from clinic_mm.cohort.tables import (
    Listed,
    by_table,
    check_layout,
    list_files,
    lists_among,
    mapping_of,
    read_fact_tables,
)
from clinic_mm.errors import TaskError
from clinic_mm.modalities import finder_of, resolve, table
from clinic_mm.sources.found import Found
from clinic_mm.sources.walk import FileKind, row_of, sniff, suffix_of, walk
from clinic_mm.types import Evidence, Rejected

FINDERS: Final[Mapping[FileKind, str]] = {
    FileKind.DICOM: "clinic_mm.sources.dicom.find:find_dicom",
    FileKind.NIFTI: "clinic_mm.sources.ct.nifti:find_nifti",
    FileKind.PICTURE: "clinic_mm.sources.xray.pictures:find_pictures",
    FileKind.EEG: "clinic_mm.sources.recordings:find_recordings",
    FileKind.TEXT: "clinic_mm.sources.record.notes:find_texts",
}
"""By dotted path, so that an ingest of tables imports neither MNE nor pydicom. Rows of the table of modalities that
have files of their own name their finder themselves."""

MODALITY_OF: Final = {
    FileKind.DICOM: "dicom",
    FileKind.NIFTI: "ct",
    FileKind.PICTURE: "xray",
    FileKind.EEG: "eeg",
    FileKind.TEXT: "note",
}
"""What a file of a kind would have become, for a failure before anyone could say."""

STRANGERS: Final = (
    (0, b"PK\x03\x04", "a zip archive or an Office document", "Unpack it, or save its text as .txt"),
    (0, b"\x1f\x8b", "a packed file (gzip)", "Unpack it"),
    (0, b"7z\xbc\xaf", "a packed file (7z)", "Unpack it"),
    (0, b"Rar!", "a packed file (rar)", "Unpack it"),
    (0, b"%PDF", "a PDF", "Save its text as .txt, and export its pictures as DICOM"),
    (0, b"\xd0\xcf\x11\xe0", "an old Office document", "Save its text as .txt"),
    (16, b"SCPECG", "an SCP-ECG", "Export it as DICOM, EDF or WFDB"),
    (4, b"ftyp", "a photograph or film of a telephone", "Export the picture as DICOM or PNG"),
)
"""Files that people hand over and nothing here reads: where the magic begins, the magic, a name, the mend."""

Progress = Callable[[str, int, int], None]
"""Called with the stage, how much is done, and how much there is."""


class Finder(Protocol):
    """A reader's look at files of one kind."""

    def __call__(
        self, root: Path, root_name: str, files: Sequence[Path], zone: ZoneInfo, **options: object
    ) -> Iterable[Found]:
        """One `Found` for each study, recording or picture; `files` lie below `root`.

        `options` are those of the source; a finder that has none takes none.

        Raises:
            TaskError: If an option is wrong.
        """


def gather(
    source: SourceSpec, base: Path, zone: ZoneInfo, skip: frozenset[Path], progress: Progress | None = None
) -> tuple[Path, Gathered]:
    """Look through one source.

    Args:
        source: What the ingest file says of it.
        base: The folder that its path starts from.
        zone: Of the site.
        skip: Resolved files and folders that are no evidence: the ingest file, the labels, the cohort folder.
        progress: Told of each kind of file as it is read.

    Returns:
        The root that paths are relative to, and what was found.

    Raises:
        TaskError: If there is no such folder or file, or its mapping is wrong.
    """
    left_out: list[Path] = []
    root, files = files_of(source, base, skip, left_out)
    place, result = Place(source, root, base, zone), Gathered()
    result.found += [place.owned(_not_followed(place, path)) for path in left_out]
    mapping = mapping_of(place)
    check_layout(place, mapping)
    lists = lists_among(files, mapping)
    kinds = by_kind(source, [path for path in files if path not in lists])
    if mapping is not None and mapping.layout == "files":
        listed = list_files(place, mapping, lists or kinds.pop(FileKind.TABLE, []), result)
        folders: dict[Path, Path | None] = {}
        kept = {path: row for path, row in listed.items() if not _skipped(path, skip, folders)}
        _by_list(place, kept, kinds, result)
    for done, (kind, mine) in enumerate(kinds.items()):
        if not mine:
            continue
        if progress:
            progress(f"{source.name}: {len(mine)} {kind} files", done, len(kinds))
        if kind is FileKind.TABLE:
            read_fact_tables(place, mapping, mine, result)
        else:
            _READ.get(kind, _find)(place, kind, mine, result)
    _check_named(source, result)
    return root, result


def _check_named(source: SourceSpec, result: Gathered) -> None:
    if source.named and any(len(frame) for frame in (*result.record, *result.note)):
        what = "Facts and notes of all sources are one record, so this source cannot be meant for one modality"
        raise TaskError(what, f"source {source.name} / named", "Leave it out, and name codes in the task")


def files_of(
    source: SourceSpec, base: Path, skip: frozenset[Path], left_out: list[Path] | None = None
) -> tuple[Path, list[Path]]:
    """The root of a source and its files; a source may be a single file. `left_out` as in `walk`.

    Raises:
        TaskError: If there is nothing at its path.
    """
    place = (base / source.path).absolute()
    if place.is_file():
        return place.parent, [place]
    if not place.is_dir():
        where = f"source {source.name} / path"
        raise TaskError("There is no such folder or file", where, "Paths are relative to the ingest file")
    folders: dict[Path, Path | None] = {}
    return place, [path for path in walk(place, left_out) if not _skipped(path, skip, folders)]


def by_kind(source: SourceSpec, files: Iterable[Path]) -> dict[FileKind, list[Path]]:
    """Files by kind, in a fixed order; where the source names its kind, other known kinds are refused."""
    groups: dict[FileKind, list[Path]] = defaultdict(list)
    meant = _meant(source)
    row = table()[source.kind] if meant is FileKind.MODALITY else None
    for path in files:
        kind = sniff(path)
        if meant is not None and kind is not FileKind.SIDE and not (row and kind in row.shares):
            asked = kind in {meant, FileKind.UNKNOWN} if row is None else suffix_of(path) in row.suffixes
            kind = meant if asked else FileKind.UNKNOWN
        groups[kind].append(path)
    return {kind: groups[kind] for kind in FileKind if groups[kind]}


def _meant(source: SourceSpec) -> FileKind | None:
    """What a source says that its files are; None where each is to be told."""
    if source.kind == "auto":
        return None
    if finder_of(source.kind):
        return FileKind.MODALITY
    return FileKind.TABLE if source.kind in KNOWN_TABLES else FileKind(source.kind)


def _by_list(place: Place, listed: dict[Path, Listed], kinds: dict[FileKind, list[Path]], into: Gathered) -> None:
    """Findings of the files that a table lists; they are taken out of `kinds`."""
    for kind, files in kinds.items():
        kinds[kind] = [path for path in files if path not in listed]
    rows = {place.relative(path): row for path, row in listed.items()}
    modality = next((row.modality for row in listed.values()), "")
    if finder_of(modality):  # the list says what its files are as plainly as a source does
        place = replace(place, source=place.source.model_copy(update={"kind": modality}))
    for kind, files in by_kind(place.source, listed).items():
        if kind in FINDERS or kind is FileKind.MODALITY:
            into.found += [by_table(owned, rows) for owned in find(place, kind, files)]
        elif kind is not FileKind.SIDE:
            _refuse_unknown(place, kind, files, into)


def _find(place: Place, kind: FileKind, files: list[Path], into: Gathered) -> None:
    into.found += find(place, kind, files)


def find(place: Place, kind: FileKind, files: list[Path]) -> list[Owned]:
    """What the reader of a kind finds in files, by the source's policy."""
    if kind is not FileKind.MODALITY:
        found = _found(place, FINDERS[kind], MODALITY_OF[kind], files)
        return [_only(place, one) for one in found] if finder_of(place.source.kind) else found
    rows: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        rows[place.source.kind if finder_of(place.source.kind) else row_of(path)].append(path)
    told = place.source.options
    return [one for row, mine in rows.items() for one in _found(place, finder_of(row), row, mine, told)]


def _only(place: Place, owned: Owned) -> Owned:
    """In a source of one modality, evidence of another that shares its kind of file is refused."""
    finding, meant = owned.finding, place.source.kind
    if not isinstance(finding, Evidence) or finding.modality == meant:
        return owned
    why, mend = f"This is {finding.modality} evidence, and the source is {meant}", "Give it a source of its own"
    refused = place.refused(place.root / owned.path, finding.modality, "file.other_modality", why, mend)
    return Owned(owned.patient_id, refused, owned.path)


def _found(
    place: Place, dotted: str, modality: str, files: list[Path], options: Mapping[str, object] | None = None
) -> list[Owned]:
    finder: Finder = resolve(dotted)

    def look(some: Sequence[Path]) -> list[Found]:
        return list(finder(place.root, place.source.name, some, place.zone, **(options or {})))

    good, bad = guarded(look, files, modality)
    if place.source.patient in {"folder", "stem"}:
        _check_one_patient(place, good or [])
    return [place.owned(found) for found in good or []] + [place.owned(finding, path) for path, finding in bad]


def _check_one_patient(place: Place, found: Iterable[Found]) -> None:
    """Neither a folder's nor a file's name can say whose each of several samples in one file is."""
    stated: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for one in found:
        stated[one.finding.paths].add(one.patient_id)
    if any(len(patients) > 1 for patients in stated.values()):
        what, where = "One file of this source holds several patients", f"source {place.source.name} / patient"
        raise TaskError(what, where, 'Write patient = "header": its own ids say whose each is')


def _read_fhir(place: Place, kind: FileKind, files: list[Path], into: Gathered) -> None:
    frames, refused = read_rows("record", resolve("clinic_mm.sources.record.patient:read_rows"), place, files)
    into.record += frames
    into.found += refused
    said = {(owned.path, getattr(owned.finding, "code", "")) for owned in refused}
    frames, refused = read_rows("note", resolve("clinic_mm.sources.record.notes:read_notes"), place, files)
    into.note += frames  # what is wrong with a file as a whole, both readers say; once is enough
    into.found += [o for o in refused if (o.path, getattr(o.finding, "code", "")) not in said]


def _not_followed(place: Place, path: Path) -> Rejected:
    if path.is_symlink():
        why, mend = "A link to a folder, to nothing or out of its source is not followed", "Put the file itself there"
        return place.refused(path, "file", "file.link", why, mend)
    return place.refused(path, "file", "file.special", "This is a pipe, a socket or a device, no file", "Leave it out")


def _refuse_unknown(place: Place, kind: FileKind, files: list[Path], into: Gathered) -> None:
    into.found += [place.owned(place.refused(path, "file", "file.unknown", *_stranger(path))) for path in files]


def _stranger(path: Path) -> tuple[str, str]:
    """What a file is that nobody reads, and how to mend it: archives stay packed, since they may hold anything."""
    try:
        with path.open("rb") as file:
            head = file.read(32)
    except OSError:
        head = b""
    for start, magic, name, mend in STRANGERS if sniff(path) is FileKind.UNKNOWN else ():
        if head[start : start + len(magic)] == magic:
            return f"This is {name}, which is not opened", mend
    return "This is no kind of file that was asked for", "Leave it out, or say under [[source]] which kind it is"


def _pass_over(place: Place, kind: FileKind, files: list[Path], into: Gathered) -> None:
    """Side files are read with the file that they belong to."""


_READ: Final[dict[FileKind, Callable[[Place, FileKind, list[Path], Gathered], None]]] = {
    FileKind.FHIR: _read_fhir,
    FileKind.SIDE: _pass_over,
    FileKind.UNKNOWN: _refuse_unknown,
}


def _skipped(path: Path, skip: frozenset[Path], folders: dict[Path, Path | None]) -> bool:
    """Whether a file is no evidence; each folder is resolved once, and is None in `folders` where all of it is none."""
    if path.is_symlink():
        path = path.resolve()
    if path.parent not in folders:
        there = path.parent.resolve()
        folders[path.parent] = None if any(one in skip for one in (there, *there.parents)) else there
    folder = folders[path.parent]
    return folder is None or folder / path.name in skip
