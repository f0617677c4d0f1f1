"""Read the tables of a source by its mapping: rows of facts or notes, or lists of files with patient and time.

In:  CSV or Parquet files, and the mapping that the ingest file names. Out: rows, or findings that the table owns.

MEDS events and OMOP tables are known by their columns. Any other table without a mapping is refused: nothing says what
its columns mean. What a table says of a file's patient and time
goes before what the file's header says, since somebody wrote it down for this cohort.
"""

from collections import defaultdict
from collections.abc import Mapping as MappingOf
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from pydantic import JsonValue

from clinic_mm.cohort.guard import guarded
from clinic_mm.cohort.owned import Gathered, Owned, Place
from clinic_mm.cohort.read_rows import read_rows
from clinic_mm.errors import TaskError
from clinic_mm.sources.record.drafts import CODE, MEND, without_drafts
from clinic_mm.sources.tables.known import KnownTables, columns_of, told_apart
from clinic_mm.sources.tables.mapped import FIELD, FILE_COLUMNS, read_files_table, read_table
from clinic_mm.sources.tables.mapping import Mapping, parse_mapping, read_mapping
from clinic_mm.sources.tables.meds import read_meds
from clinic_mm.sources.tables.omop import read_omop
from clinic_mm.sources.walk import FileKind, sniff, walk
from clinic_mm.types import Evidence, Rejected

NO_MAPPING = (
    "Nothing says what the columns of this table mean",
    'Add mapping = { layout = "wide", patient = "…", … } under [[source]], or leave the table out',
)


SEVERAL_CDMS = (
    "There are several CDMs in this source, and their person numbers may mean different people",
    "Ingest each on its own, or make the numbers different",
)


class Listed(NamedTuple):
    """What a table of files says of one file."""

    patient_id: str
    modality: str
    time: pd.Timestamp | None
    meta: dict[str, JsonValue]


def mapping_of(place: Place) -> Mapping | None:
    """The mapping of a source, None where it has none.

    Raises:
        TaskError: If it is absent or wrong.
    """
    given = place.source.mapping
    if given is None:
        return None
    where = f"source {place.source.name} / mapping"
    return read_mapping(place.base / given) if isinstance(given, str) else parse_mapping(dict(given), where)


def read_fact_tables(place: Place, mapping: Mapping | None, files: list[Path], into: Gathered) -> None:
    """Rows of facts or notes of every table of a source."""
    if mapping is None:
        _read_known(place, files, into)
        return
    name = "note" if mapping.layout == "notes" else "record"
    for path in files:
        frame, bad = guarded(lambda some: read_table(some[0], mapping, place.zone), [path], name)
        into.found += [place.owned(finding, path) for _, finding in bad]
        if frame is not None and name == "note":
            _take_notes(place, path, frame, into)
        elif frame is not None:
            into.record.append(place.rows(frame))


def _read_known(place: Place, files: list[Path], into: Gathered) -> None:
    """Tables whose form says what their columns mean; the others are refused."""
    known = told_apart(files)
    if place.source.kind != "omop" and known.meds:
        frames, refused = read_rows("record", read_meds, place, known.meds)
        into.record += frames
        into.found += refused
    cdms = known.omop if place.source.kind != "meds" else []
    for tables in cdms:
        if len(cdms) > 1:  # person 1 of one hospital is not person 1 of the other
            into.found.append(place.owned(place.refused(tables[0], "record", "omop.several", *SEVERAL_CDMS)))
        else:
            _read_omop(place, tables, into)
    for why, mend, paths in (
        ("These are labels, not evidence", 'Name the file under [labels], patient = "subject_id"', known.meds_labels),
        (*NO_MAPPING, _others(place.source.kind, known)),
    ):
        into.found += [place.owned(place.refused(path, "record", "table.no_mapping", why, mend)) for path in paths]


def _read_omop(place: Place, tables: list[Path], into: Gathered) -> None:
    """The tables of one CDM, read together: what fails as a whole is told of its person table."""
    result, bad = guarded(lambda _: read_omop(tables, place.zone), tables[:1], "record")
    into.found += [place.owned(finding, path) for path, finding in bad]
    if result is not None:
        record, note, refused = result
        into.record.append(place.rows(record))
        _take_notes(place, tables[0], note, into)
        into.found += [place.owned(place.named(one)) for one in refused]


def _take_notes(place: Place, path: Path, notes: pd.DataFrame, into: Gathered) -> None:
    """Notes that people wrote; what software drafted is refused, and counted."""
    kept, drafted = without_drafts(notes)
    into.note.append(place.rows(kept))
    if drafted:
        into.found.append(
            place.owned(
                place.refused(path, "note", CODE, f"{drafted} of its notes are drafts that software wrote", MEND)
            )
        )


def _others(kind: str, known: KnownTables) -> list[Path]:
    unasked = {"meds": [path for tables in known.omop for path in tables], "omop": known.meds}
    return [*known.others, *unasked.get(kind, ())]


def lists_among(files: Sequence[Path], mapping: Mapping | None) -> list[Path]:
    """The tables that list files, by the columns that the mapping names: samples may lie in tables beside them."""
    if mapping is None or mapping.layout != "files":
        return []
    named = {mapping.patient.lower(), *(name.lower() for name in FIELD.findall(mapping.path))}
    return [path for path in files if sniff(path) is FileKind.TABLE and columns_of(path) >= named]


def list_files(place: Place, mapping: Mapping, tables: list[Path], into: Gathered) -> dict[Path, Listed]:
    """All files that a source's tables list, by path; what is gone or belongs to two patients is refused.

    A listed folder stands for all files in it.
    """
    said: dict[Path, list[Listed]] = defaultdict(list)
    for table in tables:
        frame, bad = guarded(lambda some: read_files_table(some[0], mapping, place.zone), [table], mapping.modality)
        into.found += [place.owned(finding, table) for _, finding in bad]
        for row in [] if frame is None else frame.to_dict("records"):
            listed = _listed(row)
            path = table.parent / str(row["path"])
            files = list(walk(path)) if path.is_dir() else [path]
            for file in files:
                said[file].append(listed)
    result: dict[Path, Listed] = {}
    for path, all_said in said.items():
        if (problem := _problem(path, all_said)) is None:
            result[path] = all_said[0]
        else:
            code, why, mend = problem
            owner = all_said[0].patient_id if code == "file.gone" else ""
            refused = place.refused(path, all_said[0].modality, code, why, mend)
            into.found.append(Owned(owner, refused, refused.paths[0]))
    return result


def by_table(owned: Owned, listed: MappingOf[str, Listed]) -> Owned:
    """A finding as the table has it: its patient, its time, its facts."""
    finding = owned.finding
    paths = finding.paths if isinstance(finding, Evidence | Rejected) else (owned.path,)
    rows = [listed[path] for path in paths if path in listed]
    patients = {row.patient_id for row in rows}
    if len(patients) != 1:
        return Owned("", finding, owned.path)
    row = rows[0]
    if isinstance(finding, Evidence) and finding.modality != row.modality:
        why = f"The table says {row.modality}, the file is {finding.modality}"
        mend = "Correct the mapping's modality, or the list"
        finding = Rejected(
            modality=row.modality, code="table.other_modality", why=why, mend=mend, root=finding.root, paths=paths
        )
    elif isinstance(finding, Evidence):
        at = row.time.to_pydatetime() if row.time is not None else finding.acquired_at
        finding = finding.model_copy(update={"acquired_at": at, "meta": finding.meta | row.meta})
    return Owned(row.patient_id, finding, owned.path)


def _listed(row: dict[object, object]) -> Listed:
    time = row["time"]
    meta = {str(k): _plain(v) for k, v in row.items() if k not in FILE_COLUMNS}
    at = time if isinstance(time, pd.Timestamp) else None
    return Listed(str(row["patient_id"]).strip(), str(row["modality"]), at, meta)


def _problem(path: Path, said: list[Listed]) -> tuple[str, str, str] | None:
    if not path.is_file():
        return "file.gone", "The table lists a file that is not there", "Correct the list, or bring the file"
    if len({row.patient_id for row in said}) > 1:
        return "patient.ambiguous", "The table gives this file to several patients", "Correct the list"
    if len({row.time for row in said}) > 1:
        return "time.ambiguous", "The table gives this file several times", "Correct the list"
    return None


def _plain(value: object) -> JsonValue:
    if isinstance(value, bool | int | str):
        return value
    return float(value) if isinstance(value, float) and value == value else None


def check_layout(place: Place, mapping: Mapping | None) -> None:
    """Patients from a table need a table of files.

    Raises:
        TaskError: If the mapping is of facts.
    """
    if place.source.patient == "table" and (mapping is None or mapping.layout != "files"):
        mend = 'Write layout = "files", or another patient policy'
        raise TaskError("Patients from a table need a table of files", f"source {place.source.name} / mapping", mend)
