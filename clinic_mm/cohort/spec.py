"""The ingest file `cohort.toml`: which folders hold evidence, whose it is, and where the labels stand.

In:  a TOML file, or a folder without one (then: everything below it, patients by what the files say).
Out: a frozen `CohortSpec`. Every mistake gets an error that names the mend. Nothing here opens the evidence.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from clinic_mm.errors import TaskError
from clinic_mm.modalities import finder_of, table
from clinic_mm.times import site_zone
from clinic_mm.toml_file import fitted, read_toml
from clinic_mm.types import SCHEMA_VERSION, Frozen

SPEC_NAME: Final = "cohort.toml"
RESERVED_ROOT: Final = "cohort"
"""The root that names the cohort folder itself, where record.parquet and note.parquet lie."""
NO_FILES: Final = "no-files"
"""The root of cohorts that were simulated without files: nothing lies there."""

KNOWN_TABLES: Final = frozenset({"meds", "omop"})
"""Kinds of source whose files are tables that need no mapping."""

FILE_KINDS: Final = ("auto", "dicom", "nifti", "picture", "eeg", "fhir", "table", "meds", "omop", "text")
"""Kinds of source that several modalities share."""

SEE_DOCS: Final = "See docs/cohort_file.md"
UndatedPolicy = Literal["refuse", "accept"]


class SourceSpec(Frozen):
    """One folder (or one file) of evidence.

    Attributes:
        name: Name of the root; paths in the manifest are relative to it.
        path: Where it lies, relative to the ingest file.
        kind: What its files are; `auto` tells each by its first bytes. `meds` and `omop`: tables that need no mapping.
            Rows of the table of modalities that have files of their own: all its files with such a suffix.
        patient: Where the patient id stands: in the file's own header or rows (`header`), in the first folder below
            the source (`folder`), in the file name up to the first "_" (`stem`), or in a table of files (`table`).
        mapping: How a CSV or Parquet table is read: an inline table, or the path of a TOML file.
        named: The modality of tasks that its evidence is meant for, where a kind has several: `gene` and `methylation`
            of kind `omics`. Evidence of a source without it serves every modality of its kind.
        options: What its kind lets a source say, such as the layout of a matrix of omics; its reader checks it.
        timeless: Its evidence carries no times and never will; accept it undated, flagged, whatever the policy.
    """

    name: str = Field(default="files", pattern=r"^[A-Za-z0-9_.-]+$")
    path: str = "."
    kind: str = "auto"
    patient: Literal["header", "folder", "stem", "table"] = "header"
    mapping: str | dict[str, object] | None = None
    named: str = Field(default="", pattern=r"^([A-Za-z][A-Za-z0-9_.-]*)?$")
    options: dict[str, object] = Field(default_factory=dict)
    timeless: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.name == RESERVED_ROOT:
            raise TaskError(f"The name {RESERVED_ROOT!r} is reserved for the cohort folder", "source / name", "Rename")
        known = (*FILE_KINDS, *(name for name in table() if finder_of(name) and name not in FILE_KINDS))
        if self.kind not in known:
            near = get_close_matches(self.kind, known, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise TaskError(
                f"Unknown kind {self.kind!r}", f"source {self.name} / kind", f"{hint}Known: {', '.join(known)}"
            )
        if self.options and not finder_of(self.kind):
            what, mend = f"A source of the kind {self.kind} has no options", "Leave them out, or name another kind"
            raise TaskError(what, f"source {self.name} / options", mend)
        if self.patient == "table" and self.mapping is None:
            mend = 'Add mapping = {files = "path", patient = "patient_id"} or the path of a mapping file'
            raise TaskError("Patients from a table need a mapping", f"source {self.name}", mend)
        if self.kind in KNOWN_TABLES and self.mapping is not None:
            what, mend = f"Tables of the form {self.kind} have a mapping of their own", "Leave the mapping out"
            raise TaskError(what, f"source {self.name} / mapping", mend)
        return self


class LabelsSpec(Frozen):
    """The labels: a CSV or Parquet file, one row per patient and decision time.

    Attributes:
        path: Where it lies, relative to the ingest file.
        patient: Column with the source's patient id.
        decision_time: Column with the time that an answer is due, where there is one.
        times: Further columns that are times (events that a task may count from).
        origin: Where times are relative: what `offset` counts from.
        offset: Column with the decision time as an offset from `origin`, in `offset_unit`.
        columns: Columns kept; all where empty.
    """

    path: str
    patient: str = "patient_id"
    decision_time: str = "decision_time"
    times: tuple[str, ...] = ()
    origin: AwareDatetime | None = None
    offset: str = ""
    offset_unit: Literal["h", "d", "min", "s"] = "h"
    columns: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if bool(self.offset) != (self.origin is not None):
            mend = 'Give both, such as origin = 2000-01-01T00:00:00Z and offset = "day"'
            raise TaskError("An offset and its origin belong together", "labels / origin", mend)
        return self


class CohortSpec(Frozen):
    """A whole ingest file. See `docs/cohort_file.md` for an annotated example."""

    schema_version: str = SCHEMA_VERSION
    name: str = "cohort"
    site_timezone: str = "UTC"
    undated: UndatedPolicy = "refuse"
    source: tuple[SourceSpec, ...] = (SourceSpec(),)
    labels: LabelsSpec | None = None
    simulated: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        site_zone(self.site_timezone)
        names = [one.name for one in self.source]
        if not names or len(set(names)) != len(names):
            raise TaskError("A cohort needs sources, each with its own name", "source", "Give each a name of its own")
        if self.schema_version.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
            mend = f'Write schema_version = "{SCHEMA_VERSION}"'
            raise TaskError(f"Unknown version {self.schema_version!r} of the ingest file", "schema_version", mend)
        return self


def parse_spec(given: Mapping[str, object], where: str = SPEC_NAME) -> CohortSpec:
    """Check a mapping and freeze it.

    Raises:
        TaskError: What is wrong, the field, and the mend.
    """
    return fitted(CohortSpec, given, where, SEE_DOCS)


def read_spec(path: Path) -> tuple[CohortSpec, Path]:
    """The ingest file and the folder that its paths start from.

    Args:
        path: A TOML file, a folder with a `cohort.toml`, or any other folder, which gets the default: one source,
            everything in it, patients as the files name them.

    Raises:
        TaskError: If there is no such file or folder, or it is not an ingest file.
    """
    if path.is_dir():
        if not (path / SPEC_NAME).is_file():
            return CohortSpec(), path
        path = path / SPEC_NAME
    return parse_spec(read_toml(path, "ingest file", SEE_DOCS), str(path)), path.parent
