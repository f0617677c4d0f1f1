"""Look through one source: walk it, tell each file's kind, hand the files to the readers, say whose each finding is.

In:  a source of the ingest file. Out: findings with the source's own patient id, and rows of records and notes.

Nothing here keys or writes anything, and no bad file stops it (see `guard`).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import pandas as pd

from clinic_mm.cohort.guard import guarded
from clinic_mm.cohort.spec import SourceSpec
from clinic_mm.errors import TaskError
from clinic_mm.modalities import resolve
from clinic_mm.sources.found import Found
from clinic_mm.sources.walk import FileKind, sniff, walk
from clinic_mm.types import Evidence, Failed, Rejected

FINDERS: Final[Mapping[FileKind, str]] = {
    FileKind.DICOM: "clinic_mm.sources.dicom:find_dicom",
    FileKind.NIFTI: "clinic_mm.sources.ct:find_nifti",
    FileKind.PICTURE: "clinic_mm.sources.xray:find_pictures",
    FileKind.EEG: "clinic_mm.sources.eeg:find_eeg",
}
"""By dotted path, so that an ingest of tables imports neither MNE nor pydicom."""

MODALITY_OF: Final = {
    FileKind.DICOM: "dicom",
    FileKind.NIFTI: "ct",
    FileKind.PICTURE: "xray",
    FileKind.EEG: "eeg",
    FileKind.FHIR: "record",
    FileKind.TABLE: "record",
    FileKind.TEXT: "note",
}
"""What a file of a kind would have become, for a failure before anyone could say."""

Progress = Callable[[str, int, int], None]
"""Called with the stage, how much is done, and how much there is."""


class Finder(Protocol):
    """A reader's look at files of one kind."""

    def __call__(self, root: Path, root_name: str, files: Sequence[Path], zone: ZoneInfo) -> Iterable[Found]:
        """One `Found` for each study, recording or picture; `files` lie below `root`."""


class RowReader(Protocol):
    """A reader of files whose content is kept as rows."""

    def __call__(self, files: Sequence[Path], zone: ZoneInfo) -> tuple[pd.DataFrame, list[Rejected]]:
        """Rows with the source's `patient_id`, and what was refused."""


@dataclass(frozen=True, slots=True)
class Owned:
    """One finding, whose it is as the source says it ("" where nobody knows), and its file for the reject list."""

    patient_id: str = field(repr=False)
    finding: Evidence | Rejected | Failed
    path: str = field(repr=False)


@dataclass(slots=True)
class Gathered:
    """What one source holds. Row frames have the source's `patient_id`."""

    found: list[Owned] = field(default_factory=list)
    record: list[pd.DataFrame] = field(default_factory=list)
    note: list[pd.DataFrame] = field(default_factory=list)


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
    root, files = files_of(source, base, skip)
    kinds = _by_kind(source, files)
    result = Gathered()
    for done, (kind, mine) in enumerate(kinds.items()):
        if progress:
            progress(f"{source.name}: {len(mine)} × {kind}", done, len(kinds))
        _READ.get(kind, _find)(_Place(source, root, base, zone), kind, mine, result)
    return root, result


def files_of(source: SourceSpec, base: Path, skip: frozenset[Path]) -> tuple[Path, list[Path]]:
    """The root of a source and its files; a source may be a single file.

    Raises:
        TaskError: If there is nothing at its path.
    """
    place = (base / source.path).absolute()
    if place.is_file():
        return place.parent, [place]
    if not place.is_dir():
        where = f"source {source.name} / path"
        raise TaskError("There is no such folder or file", where, "Paths are relative to the ingest file")
    return place, [path for path in walk(place) if not _skipped(path, skip)]


def owner(policy: str, stated: str, paths: Sequence[str]) -> str:
    """Whose a finding is: as its file states, or by folder or file name; "" where that is unknown or ambiguous."""
    if policy in {"header", "table"}:
        return stated.strip()
    names = {_by_name(policy, PurePosixPath(path)) for path in paths}
    return names.pop() if len(names) == 1 else ""


@dataclass(frozen=True, slots=True)
class _Place:
    source: SourceSpec
    root: Path
    base: Path
    zone: ZoneInfo

    def relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def owned(self, found: Found | Failed | Rejected, path: Path | None = None) -> Owned:
        finding, stated = (found.finding, found.patient_id) if isinstance(found, Found) else (found, "")
        listed = finding.paths if isinstance(finding, Evidence | Rejected) else ()
        paths = listed or ((self.relative(path),) if path else ())
        return Owned(owner(self.source.patient, stated, paths), finding, paths[0] if paths else "")


def _find(place: _Place, kind: FileKind, files: list[Path], into: Gathered) -> None:
    finder: Finder = resolve(FINDERS[kind])

    def look(some: Sequence[Path]) -> list[Found]:
        return list(finder(place.root, place.source.name, some, place.zone))

    good, bad = guarded(look, files, MODALITY_OF[kind])
    into.found += [place.owned(found) for found in good or []]
    into.found += [place.owned(finding, path) for path, finding in bad]


def _read_fhir(place: _Place, kind: FileKind, files: list[Path], into: Gathered) -> None:
    for name, dotted, frames in (
        ("record", "clinic_mm.sources.record:read_rows", into.record),
        ("note", "clinic_mm.sources.notes:read_notes", into.note),
    ):
        _read_rows(place, name, resolve(dotted), files, (frames, into.found))


def _read_text(place: _Place, kind: FileKind, files: list[Path], into: Gathered) -> None:
    _read_rows(place, "note", resolve("clinic_mm.sources.notes:read_notes"), files, (into.note, into.found))


def _read_rows(
    place: _Place,
    name: str,
    reader: RowReader,
    files: list[Path],
    into: tuple[list[pd.DataFrame], list[Owned]],
) -> None:
    """Rows of a reader; where folder or file name say whose they are, one patient's files at a time."""
    for patient_id, mine in _by_owner(place, files).items():
        result, bad = guarded(lambda some: reader(some, place.zone), mine, name)
        into[1].extend(place.owned(finding, path) for path, finding in bad)
        if result is not None:
            frame, rejected = result
            into[0].append(frame if patient_id is None else frame.assign(patient_id=patient_id))
            into[1].extend(place.owned(one) for one in rejected)


def _by_owner(place: _Place, files: list[Path]) -> dict[str | None, list[Path]]:
    if place.source.patient in {"header", "table"}:
        return {None: files}
    groups: dict[str | None, list[Path]] = defaultdict(list)
    for path in files:
        groups[owner(place.source.patient, "", [place.relative(path)])].append(path)
    return dict(groups)


def _read_tables(place: _Place, kind: FileKind, files: list[Path], into: Gathered) -> None:
    raise NotImplementedError


def _refuse_unknown(place: _Place, kind: FileKind, files: list[Path], into: Gathered) -> None:
    mend = "Leave it out, or say under [[source]] which kind it is"
    for path in files:
        why = "This is no kind of file that is known" if kind is FileKind.UNKNOWN else f"A {kind} is not what was asked"
        paths = (place.relative(path),)
        rejected = Rejected(
            modality="file", code="file.unknown", why=why, mend=mend, root=place.source.name, paths=paths
        )
        into.found.append(place.owned(rejected))


def _pass_over(place: _Place, kind: FileKind, files: list[Path], into: Gathered) -> None:
    """Side files are read with the file that they belong to."""


_READ: Final[dict[FileKind, Callable[[_Place, FileKind, list[Path], Gathered], None]]] = {
    FileKind.FHIR: _read_fhir,
    FileKind.TEXT: _read_text,
    FileKind.TABLE: _read_tables,
    FileKind.SIDE: _pass_over,
    FileKind.UNKNOWN: _refuse_unknown,
}


def _by_kind(source: SourceSpec, files: Sequence[Path]) -> dict[FileKind, list[Path]]:
    """Files by kind, in a fixed order; where the source names its kind, other known kinds are refused."""
    groups: dict[FileKind, list[Path]] = defaultdict(list)
    for path in files:
        kind = sniff(path)
        if source.kind != "auto" and kind is not FileKind.SIDE:
            meant = FileKind(source.kind)
            kind = meant if kind in {meant, FileKind.UNKNOWN} else FileKind.UNKNOWN
        groups[kind].append(path)
    return {kind: groups[kind] for kind in FileKind if groups[kind]}


def _by_name(policy: str, path: PurePosixPath) -> str:
    if policy == "folder":
        return path.parts[0] if len(path.parts) > 1 else ""
    return path.name.split(".")[0].split("_")[0]


def _skipped(path: Path, skip: frozenset[Path]) -> bool:
    resolved = path.resolve()
    return resolved in skip or any(parent in skip for parent in resolved.parents)
