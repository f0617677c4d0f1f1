"""A cohort folder written from findings and rows, without a file of evidence."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from clinic_mm.cohort.ingest import evidence_frame
from clinic_mm.cohort.manifest import (
    EVIDENCE_FILE,
    LABELS_FILE,
    REJECTED_COLUMNS,
    REJECTED_FILE,
    ROW_COLUMNS,
    ROW_FILES,
    Cohort,
    open_cohort,
    write_frame,
    write_info,
    write_rejected,
)
from clinic_mm.types import Evidence, Failed, Rejected

DAY0 = datetime(2024, 1, 1, 12, tzinfo=UTC)
Found = tuple[str, Evidence | Rejected | Failed]


def at(day: float | None) -> datetime | None:
    return None if day is None else DAY0 + timedelta(days=day)


def seen(patient: str, modality: str, day: float | None, content: str = "c", named: str = "") -> Found:
    paths = (f"{patient}/{modality}-{day}",)
    one = Evidence(modality=modality, named=named, root="files", paths=paths, acquired_at=at(day), content_hash=content)
    return patient, one


def write_folder(
    out: Path,
    labels: pd.DataFrame | None,
    found: Sequence[Found],
    record: Sequence[tuple[str, float | None]] = (),
    *,
    root: str = "/nowhere",
    more: Mapping[str, object] | None = None,
) -> Cohort:
    """`labels`: `patient_key`, `decision_time` and others; `record`: patient and day of each fact."""
    out.mkdir(parents=True, exist_ok=True)
    rows = {name: pd.DataFrame({c: pd.Series([], dtype="str") for c in ROW_COLUMNS[name]}) for name in ROW_FILES}
    facts = pd.DataFrame([(p, "observation", at(d)) for p, d in record], columns=["patient_key", "category", "time"])
    rows["record"] = rows["record"].drop(columns=["patient_key", "category", "time"]).join(facts, how="right")
    for name, frame in rows.items():
        typed = frame.astype({"patient_key": "str", "time": "datetime64[us, UTC]"})
        rows[name] = typed.sort_values(["patient_key", "time"], na_position="first", ignore_index=True)
        write_frame(rows[name][list(ROW_COLUMNS[name])], out / ROW_FILES[name])
    evidence = evidence_frame(found, rows)
    write_frame(evidence, out / EVIDENCE_FILE)
    if labels is not None:
        write_frame(labels, out / LABELS_FILE)
    write_rejected(pd.DataFrame(columns=list(REJECTED_COLUMNS)), out / REJECTED_FILE)
    about: dict[str, object] = {
        "name": "written",
        "site_timezone": "UTC",
        "undated": "refuse",
        "timeless": (),
        "roots": {"files": root},
        "times": () if labels is None else ("decision_time",),
        "counts": {"patients": evidence["patient_key"].nunique()},
    }
    write_info(out, about | (more or {}))
    return open_cohort(out)


def labels_of(*rows: tuple[str, float, int]) -> pd.DataFrame:
    """Patient, day of the decision, class."""
    frame = pd.DataFrame([(p, at(d), y) for p, d, y in rows], columns=["patient_key", "decision_time", "y"])
    return frame.astype({"patient_key": "str", "decision_time": "datetime64[us, UTC]", "y": "int64"})
