"""Look through one source: walk it, tell each file's kind, hand the files to the readers, say whose each finding is.

In:  a source of the ingest file. Out: findings with the source's own patient id, and rows of records and notes.

Nothing here keys or writes anything, and no bad file stops it (see `guard`).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from clinic_mm.cohort.guard import guarded
from clinic_mm.cohort.owned import Gathered, Owned, Place
from clinic_mm.cohort.read_rows import read_rows
from clinic_mm.cohort.spec import KNOWN_TABLES, SourceSpec
from clinic_mm.cohort.tables import Listed, by_table, check_layout, list_files, mapping_of, read_fact_tables
from clinic_mm.errors import TaskError
from clinic_mm.modalities import resolve
from clinic_mm.sources.found import Found
from clinic_mm.sources.walk import FileKind, sniff, walk
from clinic_mm.types import Rejected

FINDERS: Final[Mapping[FileKind, str]] = {
    FileKind.DICOM: "clinic_mm.sources.dicom.find:find_dicom",
    FileKind.NIFTI: "clinic_mm.sources.ct.nifti:find_nifti",
    FileKind.PICTURE: "clinic_mm.sources.xray.pictures:find_pictures",
    FileKind.EEG: "clinic_mm.sources.eeg.recording:find_eeg",
    FileKind.TEXT: "clinic_mm.sources.record.notes:find_texts",
}
"""By dotted path, so that an ingest of tables imports neither MNE nor pydicom."""

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
    (4, b"ftyp", "a photograph or film of a telephone", "Export the picture as DICOM or PNG"),
)
"""Files that people hand over and nothing here reads: where the magic begins, the magic, a name, the mend."""

Progress = Callable[[str, int, int], None]
"""Called with the stage, how much is done, and how much there is."""


class Finder(Protocol):
    """A reader's look at files of one kind."""

    def __call__(self, root: Path, root_name: str, files: Sequence[Path], zone: ZoneInfo) -> Iterable[Found]:
        """One `Found` for each study, recording or picture; `files` lie below `root`."""


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
    kinds = by_kind(source, files)
    if mapping is not None and mapping.layout == "files":
        _by_list(place, list_files(place, mapping, kinds.pop(FileKind.TABLE, []), result), kinds, result)
    for done, (kind, mine) in enumerate(kinds.items()):
        if not mine:
            continue
        if progress:
            progress(f"{source.name}: {len(mine)} {kind} files", done, len(kinds))
        if kind is FileKind.TABLE:
            read_fact_tables(place, mapping, mine, result)
        else:
            _READ.get(kind, _find)(place, kind, mine, result)
    return root, result


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
    return place, [path for path in walk(place, left_out) if not _skipped(path, skip)]


def by_kind(source: SourceSpec, files: Iterable[Path]) -> dict[FileKind, list[Path]]:
    """Files by kind, in a fixed order; where the source names its kind, other known kinds are refused."""
    groups: dict[FileKind, list[Path]] = defaultdict(list)
    for path in files:
        kind = sniff(path)
        if source.kind != "auto" and kind is not FileKind.SIDE:
            meant = FileKind.TABLE if source.kind in KNOWN_TABLES else FileKind(source.kind)
            kind = meant if kind in {meant, FileKind.UNKNOWN} else FileKind.UNKNOWN
        groups[kind].append(path)
    return {kind: groups[kind] for kind in FileKind if groups[kind]}


def _by_list(place: Place, listed: dict[Path, Listed], kinds: dict[FileKind, list[Path]], into: Gathered) -> None:
    """Findings of the files that a table lists; they are taken out of `kinds`."""
    for kind, files in kinds.items():
        kinds[kind] = [path for path in files if path not in listed]
    rows = {place.relative(path): row for path, row in listed.items()}
    for kind, files in by_kind(place.source, listed).items():
        if kind in FINDERS:
            into.found += [by_table(owned, rows) for owned in find(place, kind, files)]
        elif kind is not FileKind.SIDE:
            _refuse_unknown(place, kind, files, into)


def _find(place: Place, kind: FileKind, files: list[Path], into: Gathered) -> None:
    into.found += find(place, kind, files)


def find(place: Place, kind: FileKind, files: list[Path]) -> list[Owned]:
    """What the reader of a kind finds in files, by the source's policy."""
    finder: Finder = resolve(FINDERS[kind])

    def look(some: Sequence[Path]) -> list[Found]:
        return list(finder(place.root, place.source.name, some, place.zone))

    good, bad = guarded(look, files, MODALITY_OF[kind])
    return [place.owned(found) for found in good or []] + [place.owned(finding, path) for path, finding in bad]


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
            head = file.read(12)
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


def _skipped(path: Path, skip: frozenset[Path]) -> bool:
    resolved = path.resolve()
    return resolved in skip or any(parent in skip for parent in resolved.parents)
