"""Whose a finding is, as the source says it, and where its files lie.

In:  a source's policy and what readers found. Out: findings with the source's own patient id, not yet keyed.

A finding whose files belong to two patients belongs to nobody: it is refused later, never assigned.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from zoneinfo import ZoneInfo

import pandas as pd

from clinic_mm.cohort.spec import SourceSpec
from clinic_mm.sources.found import Found
from clinic_mm.types import Evidence, Failed, Rejected


@dataclass(frozen=True, slots=True)
class Owned:
    """One finding, whose it is as the source says it ("" where nobody knows), and its file for the reject list."""

    patient_id: str = field(repr=False)
    finding: Evidence | Rejected | Failed
    path: str = field(default="", repr=False)


@dataclass(slots=True)
class Gathered:
    """What sources hold. Row frames have the source's `patient_id`, and `timeless`: whether they may be undated."""

    found: list[Owned] = field(default_factory=list)
    record: list[pd.DataFrame] = field(default_factory=list)
    note: list[pd.DataFrame] = field(default_factory=list)

    def add(self, other: "Gathered") -> None:
        """Take in what another source holds."""
        self.found += other.found
        self.record += other.record
        self.note += other.note


@dataclass(frozen=True, slots=True)
class Place:
    """Where a source lies, and what the ingest file says of it."""

    source: SourceSpec
    root: Path
    base: Path
    zone: ZoneInfo

    def relative(self, path: Path) -> str:
        """A file of this source as the manifest names it; bytes that are no text are written out."""
        return path.relative_to(self.root).as_posix().encode("utf-8", "backslashreplace").decode()

    def named(self, one: Rejected) -> Rejected:
        """A refusal whose paths are as they were given to the reader, as the manifest names them."""
        if one.root:
            return one
        paths = tuple(self.relative(Path(p)) if Path(p).is_relative_to(self.root) else p for p in one.paths)
        return one.model_copy(update={"root": self.source.name, "paths": paths})

    def refused(self, path: Path, modality: str, code: str, why: str, mend: str) -> Rejected:
        """A refusal of one file of this source."""
        paths = (self.relative(path),)
        return Rejected(modality=modality, code=code, why=why, mend=mend, root=self.source.name, paths=paths)

    def rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Rows of this source, each with whether it may stay although undated."""
        return frame.assign(timeless=self.source.timeless)

    def owned(self, found: Found | Failed | Rejected, path: Path | None = None) -> Owned:
        """A finding with whose it is by this source's policy."""
        finding, stated = (found.finding, found.patient_id) if isinstance(found, Found) else (found, "")
        listed = finding.paths if isinstance(finding, Evidence | Rejected) else ()
        paths = listed or ((self.relative(path),) if path else ())
        if self.source.named and isinstance(finding, Evidence | Rejected):
            finding = finding.model_copy(update={"named": self.source.named})
        return Owned(owner(self.source.patient, stated, paths), finding, paths[0] if paths else "")


def owner(policy: str, stated: str, paths: Sequence[str]) -> str:
    """Whose a finding is: as its file states, or by folder or file name; "" where that is unknown or ambiguous.

    Under the policy `table` only the table says so: what it does not list is nobody's.
    """
    if policy == "header":
        return stated.strip()
    names = {_by_name(policy, PurePosixPath(path)) for path in paths}
    return names.pop() if len(names) == 1 else ""


def _by_name(policy: str, path: PurePosixPath) -> str:
    if policy == "folder":
        return path.parts[0].strip() if len(path.parts) > 1 else ""
    return path.name.split(".")[0].split("_")[0].strip() if policy == "stem" else ""
