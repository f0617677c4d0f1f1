"""Read the labels of a cohort: one row per patient and decision time.

In:  a CSV or Parquet file with the source's own patient ids. Out: the same rows with those ids apart, times in UTC.

A row that names no patient is refused. A time that cannot be read stays empty: the row then forms no case at it.
"""

from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import pandas as pd

from clinic_mm.cohort.cases import DECISION
from clinic_mm.cohort.spec import LabelsSpec
from clinic_mm.errors import TaskError
from clinic_mm.sources.tables.table_times import utc_times
from clinic_mm.times import to_utc
from clinic_mm.types import Rejected

WHERE: Final = "labels"
SECONDS: Final = {"d": 86_400.0, "h": 3_600.0, "min": 60.0, "s": 1.0}


class Labels(NamedTuple):
    """Labels as read: source ids beside the rows, names of the columns that are times, rows refused."""

    patient_ids: pd.Series
    rows: pd.DataFrame
    times: tuple[str, ...]
    rejected: list[Rejected]


def read_labels(spec: LabelsSpec, base: Path, zone: ZoneInfo) -> Labels:
    """Read the labels file.

    Args:
        spec: The `[labels]` table of the ingest file.
        base: Folder that its path starts from.
        zone: Zone of times without one.

    Raises:
        TaskError: If the file or a named column is not there, or the file cannot be read as a table.
    """
    table = _read(base / spec.path, spec.patient)
    named = () if spec.decision_time == DECISION or spec.origin else (spec.decision_time,)
    wanted = [c for c in (spec.patient, spec.offset, *named, *spec.times, *spec.columns) if c]
    if lacking := sorted(set(wanted) - set(table.columns)):
        known = f"Columns: {', '.join(map(str, table.columns))}"
        raise TaskError(f"The labels have no column {lacking[0]!r}", WHERE, known)
    used = [spec.patient, spec.offset, spec.decision_time, "patient_key"]
    rows = table[list(spec.columns)].copy() if spec.columns else table.drop(columns=used, errors="ignore")
    for name in spec.times:
        rows[name] = utc_times(table[name], zone)
    if spec.origin is not None:
        seconds = pd.to_numeric(table[spec.offset], errors="coerce") * SECONDS[spec.offset_unit]
        offset = pd.to_timedelta(seconds, unit="s")
        rows[DECISION] = utc_times(pd.Timestamp(to_utc(spec.origin)) + offset, zone)
    elif spec.decision_time in table.columns:
        rows[DECISION] = utc_times(table[spec.decision_time], zone)
    times = tuple(name for name in rows.columns if name == DECISION or name in spec.times)
    ids = table[spec.patient].fillna("").astype(str).str.strip()
    return _without_strangers(ids, rows, times)


def _read(path: Path, patient: str) -> pd.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(
            path, dtype={patient: "str"}, encoding="utf-8-sig", sep="\t" if ".tsv" in path.suffixes else ","
        )
    except OSError:
        raise TaskError("There is no such labels file", str(path), "Correct [labels] path") from None
    except (ValueError, UnicodeDecodeError):  # pandas' parser errors are ValueErrors, and may quote a row
        raise TaskError("The labels file is not a table", str(path), "Save it as CSV in UTF-8, or Parquet") from None


def _without_strangers(ids: pd.Series, rows: pd.DataFrame, times: tuple[str, ...]) -> Labels:
    nobody = ids == ""
    why, mend = "The labels row names no patient", "Fill in the patient column"
    rejected = [
        Rejected(modality=WHERE, code="labels.no_patient", why=why, mend=mend, paths=(f"row {number + 1}",))
        for number in nobody.to_numpy().nonzero()[0].tolist()
    ]
    return Labels(ids[~nobody].reset_index(drop=True), rows[~nobody].reset_index(drop=True), times, rejected)
