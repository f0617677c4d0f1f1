"""Read patient records: FHIR files to rows, and one patient's rows for one case.

In:  FHIR R4 files, or the cohort's own Parquet of facts.
Out: rows in RECORD_COLUMNS, times in UTC; `PatientRecord` for one patient, cut to what was known by then.

Nothing here converts units or fills gaps.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import RECORD_COLUMNS, PatientRecord
from clinic_mm.sources.fhir.collect import Collector, collect, counted_in, without_cycles
from clinic_mm.sources.fhir.facts import MEDICATION, READERS, facts_of, medication_of
from clinic_mm.sources.fhir.people import demographics
from clinic_mm.sources.fhir.policy import Resource
from clinic_mm.sources.fhir.reading import Reading, resource_id
from clinic_mm.sources.record.row_index import patient_rows
from clinic_mm.sources.record.rows import Fact, in_order, record_frame
from clinic_mm.types import Flag, Rejected

PARQUET: Final = b"PAR1"
RECORD_TYPES: Final = frozenset({*READERS, "Medication"})


def read_rows(files: Sequence[Path], zone: tzinfo, now: datetime | None = None) -> tuple[pd.DataFrame, list[Rejected]]:
    """Facts of all patients in FHIR files.

    Args:
        files: Bundles, single resources or bulk NDJSON; they are read together, since they refer to each other.
        zone: Of the site, for times without a zone.
        now: Nothing was known after it; the present where None.

    Returns:
        Rows in RECORD_COLUMNS by patient and time, and what was left out: one rejection per file and reason, with the
        count in `why` and the path as it was given in `paths`. Undated facts are left out, demographics excepted.
    """
    medications: dict[str, tuple[str, str]] = {}
    reading = Reading(zone)
    collector: Collector[Fact] = Collector(reading, lambda fact: (fact[0], fact[1], fact[8]))

    def take(resource: Resource) -> None:
        if resource["resourceType"] == "Medication":
            medications[f"Medication/{resource_id(resource)}"] = medication_of(resource)
        else:
            collector.add(resource, facts_of(resource, reading))

    with without_cycles():
        refused = collect(files, collector, take, RECORD_TYPES, "record")
        frame, people = collector.finish(record_frame, now or datetime.now(UTC))
    whole = pd.concat([record_frame(demographics(people)), _with_medications(frame, medications)], ignore_index=True)
    return in_order(whole), [*refused, *counted_in(files, collector.troubles, "record")]


def load(files: Sequence[Path], *, locator: str = "", until: datetime | None = None) -> PatientRecord:
    """The record of one patient, as known at a time.

    Args:
        files: The cohort's Parquet of facts (`locator` is the patient key), or FHIR files (`locator` is the source's
            patient id, and may be empty where they hold one patient).
        locator: Whose facts.
        until: Facts after this moment are left out; None keeps all.

    Raises:
        EvidenceError: `record.several_patients`, `record.no_facts`, `record.unreadable`, and those of FHIR files.
    """
    flags: tuple[Flag, ...] = ()
    if any(_is_parquet(path) for path in files):
        parts = [extracted(path, locator, RECORD_COLUMNS) for path in files]
        rows = parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
    else:
        rows, rejected = read_rows(files, UTC)
        flags = seen_in(rejected)
        if rows.empty and rejected:
            raise EvidenceError(rejected[0].code, rejected[0].why, "", rejected[0].mend)
        rows = of_one_patient(rows, locator, "record")
    known = known_by(rows, until)
    rows = _by_time(rows if known.all() else rows[known])
    if rows.empty:
        raise EvidenceError("record.no_facts", "Nothing was known of this patient by then", "", "")
    undated = int((rows["time"].isna() & (rows["category"] != "demographic")).sum())
    why = f"{undated} facts have no time; nobody knows that they came before the decision"
    return PatientRecord(rows=rows, flags=(*flags, Flag(code="record.undated", why=why)) if undated else flags)


def seen_in(rejected: Sequence[Rejected]) -> tuple[Flag, ...]:
    """What was left out of files that are used, as flags of what is used of them."""
    return tuple(dict.fromkeys(Flag(code=one.code, why=one.why) for one in rejected))


def _by_time(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of one patient in order of time, undated first; ingest wrote them so, and sorting again takes its time."""
    moments = rows["time"].to_numpy("datetime64[us]").astype("int64")  # NaT is the least number
    return rows.reset_index(drop=True) if (moments[1:] >= moments[:-1]).all() else in_order(rows)


def extracted(path: Path, locator: str, columns: Sequence[str]) -> pd.DataFrame:
    """The rows of one patient key in one of the cohort's Parquet files, `patient_id` being the key."""
    try:
        frame = patient_rows(path, locator)
        return frame.rename(columns={"patient_key": "patient_id"})[list(columns)]
    except (OSError, KeyError, pa.ArrowException):
        what = "The cohort's table of facts or notes cannot be read"
        raise EvidenceError("record.unreadable", what, "", "Run clinic-mm ingest again") from None


def of_one_patient(frame: pd.DataFrame, locator: str, modality: str) -> pd.DataFrame:
    """The rows of one patient of a source file; without a locator the only one in it."""
    if locator:
        return frame[frame["patient_id"] == locator]
    if frame["patient_id"].nunique() > 1:
        what, mend = "The files hold several patients", "Say which one is meant"
        raise EvidenceError(f"{modality}.several_patients", what, "", mend)
    return frame


def known_by(frame: pd.DataFrame, until: datetime | None) -> "pd.Series[bool]":
    """Which rows were known at a moment; undated rows count as known here, the cohort having judged them."""
    if until is None:
        return pd.Series(data=True, index=frame.index)
    return frame["time"].isna() | (frame["time"] <= pd.Timestamp(until))


def _with_medications(frame: pd.DataFrame, medications: Mapping[str, tuple[str, str]]) -> pd.DataFrame:
    """Facts whose Medication is a resource of its own get its code; without one they keep the order's words."""
    pointing = frame["code"].str.startswith(MEDICATION).to_numpy()
    if not pointing.any():
        return frame
    told = []
    for code, words in frame.loc[pointing, ["code", "display"]].itertuples(index=False):
        known, display = medications.get(code.removeprefix(MEDICATION), ("", ""))
        display = display or words
        told.append((known or (f"text:{display.casefold()}" if display else "text:unknown"), display))
    frame = frame.copy()
    frame.loc[pointing, ["code", "display"]] = pd.DataFrame(told, columns=["code", "display"]).to_numpy()
    return frame


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == PARQUET
