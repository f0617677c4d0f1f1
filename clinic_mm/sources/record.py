"""Read patient records: FHIR files to rows, and one patient's rows for one case.

In:  FHIR R4 files, or the cohort's own Parquet of facts.
Out: rows in RECORD_COLUMNS, times in UTC; `PatientRecord` for one patient, cut to what was known by then.

Nothing here converts units or fills gaps.
"""

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import RECORD_COLUMNS, PatientRecord
from clinic_mm.sources.fhir import MEDICATION, READERS, Reading, facts_of, medication_of, resource_id
from clinic_mm.sources.fhir_collect import Collector
from clinic_mm.sources.fhir_files import FhirFile, read_resources
from clinic_mm.sources.fhir_people import demographics
from clinic_mm.sources.fhir_policy import Resource
from clinic_mm.sources.found import rejection
from clinic_mm.sources.row_index import patient_rows
from clinic_mm.sources.rows import Fact, in_order, record_frame
from clinic_mm.types import Flag, Rejected

PARQUET: Final = b"PAR1"
WHY: Final = {
    "fhir.after_death": "rows are dated more than a month after the patient's death",
    "fhir.bad_line": "lines are not JSON",
    "fhir.bad_resource": "resources have another shape than FHIR R4",
    "fhir.bad_status": "resources have a status that FHIR R4 does not know",
    "fhir.before_birth": "rows are dated before the patient's birth",
    "fhir.birth_after_death": "patients are born after their death; their birth and death are not used",
    "fhir.conflicting": "resources share an id and differ, without saying which is newer; none of them is used",
    "fhir.conflicting_patient": "patients have entries that contradict each other; what differs is not used",
    "fhir.doubled_key": "resources say one thing twice",
    "fhir.duplicate": "rows or resources say again what was said",
    "fhir.entered_in_error": "resources are marked as entered in error",
    "fhir.far_past": "dates are older than any patient, such as 1900-01-01",
    "fhir.future": "dates lie in the future, or after the bundle that holds them",
    "fhir.no_code": "resources have no code",
    "fhir.no_patient": "resources name no patient that is known",
    "fhir.no_value": "results have no value that is read",
    "fhir.not_done": "resources are planned, cancelled or not done",
    "fhir.not_fhir": "documents are not FHIR resources",
    "fhir.other_patient": "resources are about another patient than the one of their bundle",
    "fhir.refuted": "conditions or allergies are refuted",
    "fhir.shifted_dates": "dates lie in the future, as most of the file: taken as shifted dates and kept",
    "fhir.superseded": "resources come in a newer version, which is used",
    "fhir.undated": "facts have no time that could be read",
    "fhir.unit_mismatch": "values have a unit that measures something else",
    "fhir.version": "resources are of another version of FHIR",
    "note.damaged": "attachments are not as long, or not the same, as their document says",
    "note.not_inline": "attachments are not in the file; nothing is fetched",
    "note.not_text": "attachments are not plain text or HTML",
    "note.too_large": "attachments are too large",
    "note.undecodable": "attachments cannot be decoded",
}
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


def collect(
    files: Sequence[Path],
    collector: Collector[Any],
    take: Callable[[Resource], None],
    wanted: frozenset[str],
    name: str,
) -> list[Rejected]:
    """Read files one after another; those that cannot be used as a whole are returned as rejections."""
    refused = []
    for path in files:
        collector.reading.file = FhirFile()
        collector.begin()
        try:
            for resource in read_resources(path, collector.reading.file, wanted):
                take(resource)
        except EvidenceError as error:
            refused.append(rejection(error, name, path))
            collector.forget()
    return refused


@contextmanager
def without_cycles() -> Iterator[None]:
    """Hold the collector of cyclic garbage: JSON has no cycles, and it would visit all rows again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


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


def counted_in(files: Sequence[Path], troubles: Sequence[Counter[str]], modality: str) -> list[Rejected]:
    """One rejection for each kind of trouble in each file that was otherwise used."""
    return [
        Rejected(modality=modality, code=code, why=f"{count} {WHY[code]}", paths=(path.as_posix(),))
        for path, found in zip(files, troubles, strict=True)
        for code, count in sorted(found.items())
    ]


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
