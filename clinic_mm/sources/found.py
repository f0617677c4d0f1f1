"""What looking through files yields, before anything is joined: a finding and whose it is, as the source says it."""

from dataclasses import dataclass
from pathlib import Path

from clinic_mm.errors import EvidenceError
from clinic_mm.types import Evidence, Rejected


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
