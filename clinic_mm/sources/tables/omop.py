"""Read the tables of an OMOP common data model (CDM 5.3 and 5.4) as facts and notes.

In:  the tables of one CDM, with its vocabulary (the concept table) where it is there.
Out: rows in RECORD_COLUMNS and NOTE_COLUMNS, and what was left out, by reason.

A standard concept gives the code (`loinc:718-7`); without the vocabulary it stays `omop:3000963`, and a row that was
never mapped (concept 0) keeps the site's own word (`local:HB`). A datetime at midnight stands for its day, as the CDM
wants it where no time is known; a day counts as its end. The diagnoses of a stay are known when it ends. Death is no
fact, since it is only known later; facts are checked against it.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import NOTE_COLUMNS
from clinic_mm.sources.record.checked import checked, told
from clinic_mm.sources.record.rows import TIME_TYPE, completed, in_order, note_frame
from clinic_mm.sources.tables.omop_tables import PERSON, Cdm, policy
from clinic_mm.sources.tables.table_times import utc_times
from clinic_mm.types import Rejected

DEATH_TIMES: Final = ("death_datetime", "death_date")
NOTE_TIMES: Final = ("note_datetime", "note_date")
STAY_ENDS: Final = ("visit_end_datetime", "visit_end_date")


def read_omop(files: Sequence[Path], zone: tzinfo) -> tuple[pd.DataFrame, pd.DataFrame, list[Rejected]]:
    """Facts and notes of all persons of a CDM.

    Args:
        files: The tables of one CDM, see `known_tables`.
        zone: Of the site: the CDM's times have no zone.

    Returns:
        Rows in RECORD_COLUMNS, rows in NOTE_COLUMNS, both by patient and time with `patient_id` the person_id, and what
        was left out: one rejection per table and reason. A table that cannot be read costs itself alone.

    Raises:
        EvidenceError: `omop.no_persons` without a readable person table, `omop.version` for a CDM of another version.
    """
    cdm = Cdm(files)
    if PERSON not in cdm.frames:
        what, mend = "The person table cannot be read", "Export the CDM with its person table"
        raise EvidenceError("omop.no_persons", what, PERSON, mend)
    rejected = list(cdm.rejected)
    facts = [_people(cdm)]
    for name, spec in policy()["tables"].items():
        if name in cdm.frames:
            counts: Counter[str] = Counter()
            facts.append(_facts(cdm, cdm.rows_of_persons(name, spec["id"], counts), spec, zone, counts))
            rejected += told(counts, "omop", cdm.paths[name][0])
    counts = Counter()
    record = checked(pd.concat(facts, ignore_index=True), counts, _deaths(cdm, zone))
    rejected += told(counts, "omop", cdm.paths[PERSON][0])
    counts = Counter()
    notes = _notes(cdm, zone, counts) if "note" in cdm.frames else note_frame([])
    return record, notes, rejected + told(counts, "omop", cdm.paths.get("note", [Path()])[0], "note")


def _people(cdm: Cdm) -> pd.DataFrame:
    """Sex and birth date of each person, as far as they are known."""
    frame = cdm.rows_of_persons(PERSON, "person_id", Counter())
    sexes = {int(number): sex for number, sex in policy()["sexes"].items()}
    facts = {
        ("sex", "Sex"): cdm.numbers(frame, "gender_concept_id").map(sexes).astype("str").fillna(""),
        ("birth_date", "Date of birth"): _born(cdm, frame),
    }
    parts = [
        pd.DataFrame(
            {
                "patient_id": frame["person_id"],
                "category": "demographic",
                "code": code,
                "display": words,
                "value": np.nan,
                "text": text,
                "unit": "",
                "time": pd.NaT,
                "source_id": frame["person_id"],
            }
        )
        for (code, words), text in facts.items()
    ]
    whole = pd.concat(parts, ignore_index=True)
    return completed(whole[whole["text"] != ""])


def _deaths(cdm: Cdm, zone: tzinfo) -> "pd.Series[pd.Timestamp]":
    """When persons died."""
    frame = cdm.frames.get("death", pd.DataFrame({"person_id": []}))
    died = pd.Series(_first_time(frame, DEATH_TIMES, zone).array, index=cdm.texts(frame, "person_id").array)
    return died.dropna().groupby(level=0).max()


def _born(cdm: Cdm, frame: pd.DataFrame) -> "pd.Series[str]":
    """`1956-03-01`, or as much of it as the table has."""
    year, month, day = (cdm.numbers(frame, name) for name in ("year_of_birth", "month_of_birth", "day_of_birth"))
    whole = cdm.texts(frame, "birth_datetime").str.extract(r"^(\d{4}-\d{2}-\d{2})", expand=False)
    known = year.between(1850, 2300)
    text = year.where(known, 0).astype("int64").astype("str").where(known, "")
    for part in (month, day):
        more = known & part.between(1, 31)
        known &= more
        text = text.mask(more, text + "-" + part.where(more, 0).astype("int64").astype("str").str.zfill(2))
    return whole.fillna(text)


def _facts(cdm: Cdm, frame: pd.DataFrame, spec: dict[str, Any], zone: tzinfo, counts: Counter[str]) -> pd.DataFrame:
    """The rows of one table as facts."""
    concept, source = cdm.numbers(frame, spec["concept"]), cdm.texts(frame, spec["source"])
    facts = pd.DataFrame(
        {
            "patient_id": frame["person_id"],
            "category": spec["category"],
            "code": cdm.codes(concept, source),
            "display": cdm.names(concept, source),
            "time": _first_time(frame, spec["time"], zone),
            "source_id": cdm.texts(frame, spec["id"]),
        },
        index=frame.index,
    )
    if spec["category"] == "condition":
        facts["time"] = _when_coded(cdm, frame, facts["time"], zone)
    return completed(_with_values(cdm, frame, facts, counts) if spec.get("valued") else facts)


def _with_values(cdm: Cdm, frame: pd.DataFrame, facts: pd.DataFrame, counts: Counter[str]) -> pd.DataFrame:
    """Results: a number with its unit and reference range, or words; those with neither are counted and left out."""
    number, written = cdm.numbers(frame, "value_as_number"), cdm.texts(frame, "value_as_number")
    number = number.mask(np.isinf(number))
    chosen = cdm.numbers(frame, "value_as_concept_id")
    words = cdm.texts(frame, "value_as_string")
    words = words.mask(words == "", cdm.names(chosen, pd.Series("", index=frame.index)))
    signs = {int(one): sign for one, sign in policy()["operators"].items()}
    sign = cdm.numbers(frame, "operator_concept_id").map(signs).astype("str")
    beyond = sign.notna() & number.notna()
    words = words.mask(beyond, sign.fillna("") + number.map("{:g}".format).astype("str"))  # "<0.3" is not 0.3
    number = number.mask(beyond)
    silent = number.isna() & (words == "")
    counts["bad_number"] += int((silent & (written != "")).sum())
    counts["no_value"] += int((silent & (written == "")).sum())
    return facts.assign(
        value=number,
        text=words.mask(number.notna(), ""),
        unit=cdm.units(cdm.numbers(frame, "unit_concept_id"), cdm.texts(frame, "unit_source_value")),
        ref_low=cdm.numbers(frame, "range_low"),
        ref_high=cdm.numbers(frame, "range_high"),
    )[~silent]


def _when_coded(cdm: Cdm, frame: pd.DataFrame, start: pd.Series, zone: tzinfo) -> pd.Series:
    """When a diagnosis was known: when its stay ended, but for those of admission and of the problem list."""
    stays = cdm.frames.get("visit_occurrence", pd.DataFrame())
    stay = cdm.numbers(stays, "visit_occurrence_id")
    ends = pd.Series(_first_time(stays, STAY_ENDS, zone).array, index=stay.array).dropna().groupby(level=0).max()
    end = cdm.numbers(frame, "visit_occurrence_id").map(ends.to_dict())
    end = pd.to_datetime(end, utc=True).astype(TIME_TYPE)
    early = policy()["conditions"]["known_at_start"]
    known = cdm.numbers(frame, "condition_status_concept_id").isin(early["status"])
    known |= cdm.numbers(frame, "condition_type_concept_id").isin(early["type"])
    return start.where(known | end.isna() | start.isna() | (end < start), end)


def _notes(cdm: Cdm, zone: tzinfo, counts: Counter[str]) -> pd.DataFrame:
    frame = cdm.rows_of_persons("note", "note_id", counts)
    title = cdm.texts(frame, "note_title")
    notes = pd.DataFrame(
        {
            "patient_id": frame["person_id"],
            "time": _first_time(frame, NOTE_TIMES, zone),
            "kind": title.mask(title == "", cdm.names(cdm.numbers(frame, "note_class_concept_id"), title)),
            "text": cdm.texts(frame, "note_text"),
            "source_id": cdm.texts(frame, "note_id"),
        }
    )
    silent, undated = notes["text"] == "", notes["time"].isna()
    counts["no_value"] += int(silent.sum())
    counts["undated"] += int((undated & ~silent).sum())
    return in_order(completed(notes[~silent & ~undated], NOTE_COLUMNS))


def _first_time(frame: pd.DataFrame, names: Sequence[str], zone: tzinfo) -> pd.Series:
    """The first of several time columns that can be read, row by row."""
    time = pd.Series(pd.NaT, index=frame.index, dtype=TIME_TYPE)
    for name in names:
        if name in frame:
            time = time.fillna(utc_times(frame[name], zone, midnight_is_a_day=True))
    return time
