"""The cohort on disk: one folder with everything that was found, whose it is, and what was refused.

    cohort.json       name, roots, policies, counts, sha256 of each file below
    evidence.parquet  one row per finding
    labels.parquet    one row per labels row, times in UTC
    record.parquet    facts of all patients in long form    (RECORD_COLUMNS, `patient_key` for `patient_id`)
    note.parquet      notes of all patients                 (NOTE_COLUMNS, `patient_key` for `patient_id`)
    rejected.csv      what was refused, why, and how to mend it
    stamps.npy        how the files lay there when they were read, see `cohort.noted`; it may be missing

In:  frames from ingest. Out: an open `Cohort`. No pixel and no sample of a signal is copied. The folder is
identifying: it holds source paths and clinical text, and no pseudonym key.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow.parquet as pq
from pydantic import ValidationError

from clinic_mm.cohort.cases import CaseFrame, case_frame, form_cases, label_values
from clinic_mm.cohort.known import TIME_COLUMNS, known_times
from clinic_mm.cohort.spec import RESERVED_ROOT, UndatedPolicy
from clinic_mm.errors import InputError, TaskError
from clinic_mm.modalities import table
from clinic_mm.signals import NOTE_COLUMNS, RECORD_COLUMNS
from clinic_mm.task import DecisionTime
from clinic_mm.types import SCHEMA_VERSION, CaseRecord, Frozen

INFO_FILE: Final = "cohort.json"
EVIDENCE_FILE: Final = "evidence.parquet"
LABELS_FILE: Final = "labels.parquet"
REJECTED_FILE: Final = "rejected.csv"
ROW_FILES: Final = {"record": "record.parquet", "note": "note.parquet"}
ROW_COLUMNS: Final = {
    "record": ("patient_key", *(c for c in RECORD_COLUMNS if c != "patient_id")),
    "note": ("patient_key", *(c for c in NOTE_COLUMNS if c != "patient_id")),
}
EVIDENCE_COLUMNS: Final = ("patient_key", "modality", "status", "code", "root", "acquired_at", "finding")
"""`finding` is the whole finding as JSON; the columns before it are what joins and counts need."""
REJECTED_COLUMNS: Final = ("path", "modality", "code", "why", "mend")
ROW_GROUP: Final = 50_000
"""Rows in one group: rows lie by patient, so one patient is read without the rest of the file."""
IDENTIFYING: Final = (
    "Identifying: this folder holds source paths, clinical facts and notes. Keep it where the sources may be kept."
)


class CohortInfo(Frozen):
    """What `cohort.json` says.

    Attributes:
        roots: Absolute folder of each root that evidence paths are relative to.
        timeless: Roots whose evidence is accepted undated.
        times: Label columns that are times; `decision_time` among them where there is one.
        counts: How many patients, findings, label rows and so on.
        files: sha256 of each file of the folder.
        content_hash: sha256 over `files` and the policies; independent of where the roots lie.
    """

    schema_version: str = SCHEMA_VERSION
    name: str
    site_timezone: str
    undated: UndatedPolicy
    timeless: tuple[str, ...] = ()
    simulated: bool = False
    roots: dict[str, str]
    times: tuple[str, ...] = ()
    counts: dict[str, int]
    identifying: str = IDENTIFYING
    files: dict[str, str]
    content_hash: str


class Cohort:
    """An open cohort folder. Frames are read when first asked for."""

    def __init__(self, path: Path, info: CohortInfo) -> None:
        self.path, self.info = path, info

    @property
    def roots(self) -> dict[str, Path]:
        """Folder of each root, the cohort folder itself as `cohort`."""
        return {**{name: Path(root) for name, root in self.info.roots.items()}, RESERVED_ROOT: self.path}

    @cached_property
    def evidence(self) -> pd.DataFrame:
        """All findings (EVIDENCE_COLUMNS) and `accept_undated`: whether policy or source allows them without a date."""
        return self.accepting(pd.read_parquet(self.path / EVIDENCE_FILE))

    def accepting(self, evidence: pd.DataFrame) -> pd.DataFrame:
        """Findings with `accept_undated`."""
        accept = self.info.undated == "accept"
        return evidence.assign(accept_undated=evidence["root"].isin(self.info.timeless) | accept)

    @cached_property
    def labels(self) -> pd.DataFrame | None:
        """All labels rows, `patient_key` first; None where the cohort has no labels."""
        path = self.path / LABELS_FILE
        return pd.read_parquet(path) if path.is_file() else None

    def rows(self, modality: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Record or note rows of all patients, some or all columns."""
        return pd.read_parquet(self.path / ROW_FILES[modality], columns=list(columns) if columns else None)

    @cached_property
    def row_times(self) -> dict[str, pd.DataFrame]:
        """When the rows of a record or note were known, see `known_times`."""
        tables = {name: pq.read_table(self.path / ROW_FILES[name], columns=list(c)) for name, c in TIME_COLUMNS.items()}
        return {name: known_times(table).to_pandas() for name, table in tables.items()}

    @cached_property
    def patients(self) -> tuple[str, ...]:
        """Keys of all patients with a label or any finding, sorted."""
        keys = set(pd.read_parquet(self.path / EVIDENCE_FILE, columns=["patient_key"])["patient_key"].unique())
        if self.labels is not None:
            keys.update(self.labels["patient_key"])
        return tuple(sorted(keys - {""}))

    def frame(self, decision: DecisionTime | None = None) -> CaseFrame:
        """The rows that form cases at a decision time, see `case_frame`."""
        patients = self.patients if self.labels is None else ()
        return case_frame(self.labels, patients, decision, self.info.times)

    def cases(
        self,
        target: str | None = None,
        decision: DecisionTime | None = None,
        classes: Sequence[str] | None = None,
        modalities: Sequence[str] | None = None,
    ) -> tuple[CaseRecord, ...]:
        """All cases at a decision time, with everything known by then, oldest first in each modality.

        Args:
            target: Label column, None for cases without a label.
            decision: When the answer is due; None takes the labels' `decision_time` where there is one. Without any,
                nothing is refused by time, and all evidence is flagged so.
            classes: Names of the classes in the order 0, 1, …, needed where the labels are words.
            modalities: Kinds of evidence wanted, all of the table where None.

        Raises:
            TaskError: If column, time or labels do not fit, see `case_frame`, `label_values` and `form_cases`.
        """
        frame = self.frame(decision)
        if target is not None and self.labels is None:
            raise TaskError("The cohort has no labels", "target", "Add [labels] to cohort.toml and ingest again")
        values = label_values(frame.rows, target, classes) if target else [None] * len(frame.rows)
        covariates = self.covariates(frame.rows, target)
        return form_cases(frame, values, self.evidence, self.row_times, tuple(modalities or table()), covariates)

    def covariates(self, rows: pd.DataFrame, target: str | None) -> list[str]:
        """Columns of the labels that are neither key, time nor target."""
        hidden = {"patient_key", target, *self.info.times, "decision_time"}
        return [c for c in rows.columns if c not in hidden]

    def damaged(self) -> tuple[str, ...]:
        """Names of files that are gone or no longer what ingest wrote."""
        return tuple(name for name, was in self.info.files.items() if _sha256(self.path / name) != was)


def open_cohort(path: Path) -> Cohort:
    """Open a cohort folder that `clinic-mm ingest` wrote.

    Raises:
        InputError: If it is not one, or was written by an unknown major version.
    """
    try:
        info = CohortInfo.model_validate_json((path / INFO_FILE).read_bytes())
    except OSError:
        raise InputError("This is not a cohort folder", str(path), "Run clinic-mm ingest first") from None
    except ValidationError:
        raise InputError(f"{INFO_FILE} is damaged or newer", str(path), "Run clinic-mm ingest again") from None
    if info.schema_version.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
        mend = f"This clinic_mm reads version {SCHEMA_VERSION}; run clinic-mm ingest again"
        raise InputError(f"The cohort is of the unknown version {info.schema_version}", str(path), mend)
    return Cohort(path, info)


def check_free(out: Path) -> None:
    """A cohort may be written to a new or empty folder, or over an earlier cohort.

    Raises:
        InputError: If the folder holds anything else.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / INFO_FILE).is_file():
        raise InputError("The folder holds something else", str(out), "Name a new or empty folder")
    if out.exists() and not out.is_dir():
        raise InputError("This is a file, not a folder", str(out), "Name a new or empty folder")


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """One Parquet file, written whole or not at all."""
    part = path.with_name(path.name + ".part")
    frame.to_parquet(part, index=False, compression="zstd", row_group_size=ROW_GROUP)
    part.replace(path)


def write_rejected(frame: pd.DataFrame, path: Path) -> None:
    """The list of what was refused, under a first line that says how to keep it."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(f"# {IDENTIFYING}\n")
        frame[list(REJECTED_COLUMNS)].to_csv(file, index=False)


def read_rejected(path: Path) -> pd.DataFrame:
    """What was refused (REJECTED_COLUMNS)."""
    return pd.read_csv(path, comment=None, skiprows=1, keep_default_na=False)


def write_info(out: Path, given: Mapping[str, object]) -> CohortInfo:
    """`cohort.json`, written last: a folder without it is not a cohort."""
    names = (EVIDENCE_FILE, LABELS_FILE, REJECTED_FILE, *ROW_FILES.values())
    files = {name: _sha256(out / name) for name in names if (out / name).is_file()}
    policy = f"{given['site_timezone']} {given['undated']} {given['timeless']}"
    content = hashlib.sha256("\n".join([policy, *(f"{n} {h}" for n, h in sorted(files.items()))]).encode())
    info = CohortInfo.model_validate({**given, "files": files, "content_hash": content.hexdigest()})
    part = out / (INFO_FILE + ".part")
    part.write_text(info.model_dump_json(indent=1) + "\n", encoding="utf-8")
    part.replace(out / INFO_FILE)
    return info


def _sha256(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
