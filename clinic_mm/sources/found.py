"""What looking through files yields, before anything is joined: a finding and whose it is, as the source says it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydantic import JsonValue

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.place import content_hash, rejected, relative
from clinic_mm.types import Evidence, Flag, Rejected


@dataclass(frozen=True, slots=True)
class Found:
    """One study, recording, record or note found in files, or why it cannot be used.

    Attributes:
        patient_id: The source's own patient id, "" where the files name none (then the folder or a table must).
            It goes no further than the join, which keys it.
        finding: Usable evidence, or a rejection. Paths are relative to the root that was looked through.
    """

    patient_id: str
    finding: Evidence | Rejected


def rejection(error: EvidenceError, modality: str, path: Path) -> Rejected:
    """One file that cannot be used, with its path as it was given."""
    return Rejected(modality=modality, code=error.code, why=error.what, mend=error.mend, paths=(path.as_posix(),))


@dataclass(frozen=True, slots=True)
class Head:
    """What a file says of itself, before anything of it is decoded.

    Attributes:
        patient_id: The source's own, "" where the file names none.
        acquired_at: None where the file does not say.
        meta: Small facts without identity.
    """

    patient_id: str = ""
    acquired_at: datetime | None = None
    flags: tuple[Flag, ...] = ()
    meta: Mapping[str, JsonValue] = field(default_factory=dict)


def each_file(
    modality: str, root: Path, root_name: str, files: Sequence[Path], look: Callable[[Path], Head]
) -> Iterator[Found]:
    """One `Found` for each file, for readers whose files each hold one recording of one patient.

    Args:
        modality: Row of the table of modalities.
        root: The folder looked through.
        root_name: Its name in the cohort.
        files: Below `root`.
        look: Reads the head of a file; raises `EvidenceError` where it cannot be used.
    """
    for path in files:
        try:
            head = look(path)
            evidence = Evidence(
                modality=modality,
                root=root_name,
                paths=relative(root, [path]),
                acquired_at=head.acquired_at,
                content_hash=content_hash([path]),
                flags=head.flags,
                meta=dict(head.meta),
            )
        except EvidenceError as fault:
            yield Found("", rejected(fault, modality, root_name, root, [path]))
        else:
            yield Found(head.patient_id, evidence)
