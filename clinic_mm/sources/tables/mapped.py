"""Read CSV and Parquet tables by a mapping: facts, notes, or a list of files with their patients and times.

In:  a table (.csv, .csv.gz, .tsv, .parquet) and its `Mapping`.
Out: rows in RECORD_COLUMNS or NOTE_COLUMNS, or one row per file.

Values come in the unit that their code is kept in; a unit that is not known stays. A number beyond a detection limit is
no number: it becomes a text.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
import pandas as pd

from clinic_mm.errors import InputError, TaskError
from clinic_mm.signals import NOTE_COLUMNS, RECORD_COLUMNS
from clinic_mm.sources.record.checked import in_one_unit
from clinic_mm.sources.record.rows import TIME_TYPE, completed, in_order
from clinic_mm.sources.tables.mapping import Column, Mapping, TimeRule
from clinic_mm.sources.tables.table_file import open_table
from clinic_mm.sources.tables.table_times import utc_times

ABOVE: Final = "above detection limit"
BELOW: Final = "below detection limit"
FIELD: Final = re.compile(r"\{([^{}]+)\}")
CLOCK: Final = r"^(\d+):(\d\d)(?::(\d\d))?$"
FILE_COLUMNS: Final = ("path", "modality", "patient_id", "time")


def read_table(path: Path, mapping: Mapping, zone: tzinfo) -> pd.DataFrame:
    """Facts (`wide`, `long`) or notes (`notes`) of a table.

    Args:
        path: The table.
        mapping: How it is read.
        zone: Of the site, for times without a zone.

    Returns:
        Rows in RECORD_COLUMNS or NOTE_COLUMNS by patient and time; empty cells give no row. `patient_id` is "" where
        the table names none, `time` NaT where it has none. `source_id` is the row's number, from 1.

    Raises:
        TaskError: For a column that the table does not have (with the nearest), or `layout = "files"`.
        InputError: If the table cannot be read.
    """
    if mapping.layout == "files":
        raise TaskError("A table of files has no facts", "mapping / layout", 'Use layout = "wide", "long" or "notes"')
    table = _Table(open_table(path), mapping, zone)
    parts = {"wide": _wide, "long": _long, "notes": _notes}[mapping.layout](table)
    columns = NOTE_COLUMNS if mapping.layout == "notes" else RECORD_COLUMNS
    held = [part for part in parts if len(part)]
    whole = pd.concat(held, ignore_index=True) if held else pd.DataFrame(columns=list(columns))
    whole = completed(whole, columns)
    return in_order(whole if mapping.layout == "notes" else in_one_unit(whole))


def read_files_table(path: Path, mapping: Mapping, zone: tzinfo) -> pd.DataFrame:
    """A table that lists files of evidence: whose they are, and when they were acquired.

    Returns:
        `path` (relative to the table's folder, POSIX), `modality`, `patient_id`, `time` (UTC, NaT where undated), and
        the columns of `mapping.meta` under their own names. Rows with an empty cell in the path are left out.

    Raises:
        TaskError: For a column that the table does not have, or another layout.
        InputError: If the table cannot be read, or a path leads out of its folder.
    """
    if mapping.layout != "files":
        raise TaskError("Only a table of files lists files", "mapping / layout", 'Write layout = "files"')
    table = _Table(open_table(path), mapping, zone)
    names = FIELD.findall(mapping.path)
    cells = {name: table.text(name) for name in names}
    rows = zip(*cells.values(), strict=True) if cells else ((),) * len(table.frame)
    paths = [_filled(mapping.path, dict(zip(cells, row, strict=True))) for row in rows]
    frame = pd.DataFrame({"path": paths, "modality": mapping.modality, "patient_id": table.patient()})
    frame["time"] = table.time(mapping.time)
    for name in mapping.meta:
        frame[name] = table.cells(name)
    whole = np.logical_and.reduce([cell != "" for cell in cells.values()], initial=True)
    frame = frame[np.broadcast_to(whole, len(frame))].reset_index(drop=True)
    if any(_leaves(one) for one in frame["path"]):
        raise InputError(
            "The table names a file outside its folder", "mapping / path", "Paths are relative to the table"
        )
    return frame


class _Table:
    """A table with its mapping: columns by name, each mistake with the nearest name."""

    def __init__(self, frame: pd.DataFrame, mapping: Mapping, zone: tzinfo) -> None:
        self.frame, self.mapping, self.zone = frame, mapping, zone
        self._missing = {str(one) for one in mapping.missing if isinstance(one, str)}
        self._missing_numbers = [float(one) for one in mapping.missing if not isinstance(one, str)]

    def cells(self, name: str) -> pd.Series:
        """A column as it is, with what stands for "not recorded" empty."""
        if name not in self.frame:
            near = get_close_matches(name, list(self.frame.columns), n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            mend = f"{hint}It has: {', '.join(map(str, self.frame.columns[:40]))}"
            raise TaskError(f"The table has no column {name!r}", "mapping", mend)
        cells = self.frame[name]
        if pd.api.types.is_numeric_dtype(cells):
            return cells.mask(cells.isin(self._missing_numbers)) if self._missing_numbers else cells
        return cells.mask(cells.isin(self._missing)) if self._missing else cells

    def text(self, name: str) -> "pd.Series[str]":
        """A column as text, "" where empty; whole numbers without a decimal point, as ids are."""
        cells = self.cells(name)
        if pd.api.types.is_float_dtype(cells) and (cells.dropna() % 1 == 0).all():
            cells = cells.astype("Int64")
        return cells.astype("str").where(cells.notna(), "").str.strip()

    def patient(self) -> "pd.Series[str]":
        """Whose each row is."""
        return self.text(self.mapping.patient)

    def limit(self, name: str) -> "pd.Series[float]":
        """One end of the reference range of each row; NaN where no column holds it."""
        cells = self.cells(name) if name else pd.Series(np.nan, index=self.frame.index)
        return pd.to_numeric(cells, errors="coerce").astype("float64").replace([np.inf, -np.inf], np.nan)

    def time(self, given: TimeRule | str | None) -> "pd.Series[pd.Timestamp]":
        """When each row was known, UTC."""
        rule = TimeRule(column=given) if isinstance(given, str) and given else given
        if not rule:
            return pd.Series(pd.NaT, index=self.frame.index, dtype=TIME_TYPE)
        if isinstance(rule, TimeRule) and rule.has_offsets:
            return self._from_origin(rule)
        return utc_times(self.cells(rule.column if isinstance(rule, TimeRule) else rule), self.zone)

    def _from_origin(self, rule: TimeRule) -> "pd.Series[pd.Timestamp]":
        outer = self.mapping.time
        origin = rule.origin or (outer.origin if isinstance(outer, TimeRule) else None)
        if origin is None:
            raise TaskError("Offsets need an origin", "mapping / time / origin", "Write origin = 2000-01-01T00:00:00Z")
        minutes = pd.Series(0.0, index=self.frame.index)
        for names, scale in ((rule.offset_days, 1440.0), (rule.offset_h, 60.0), (rule.offset_min, 1.0)):
            for name in names:
                sign = -1.0 if name.startswith("-") and name not in self.frame else 1.0
                minutes += sign * scale * self._offset(name.removeprefix("-") if sign < 0 else name)
        far = minutes.abs() > 1e9  # beyond 1,900 years: a mistake, and beyond what a time can hold
        elapsed = pd.to_timedelta(minutes.mask(far), unit="min").astype("timedelta64[us]")
        return pd.Series(pd.Timestamp(origin) + elapsed, index=self.frame.index).astype(TIME_TYPE)

    def _offset(self, name: str) -> "pd.Series[float]":
        cells = self.cells(name)
        if pd.api.types.is_numeric_dtype(cells):
            return cells.astype("float64").replace([np.inf, -np.inf], np.nan)
        clock = cells.astype("str").str.extract(CLOCK).astype("float64")
        hours = clock[0] + clock[1] / 60 + clock[2].fillna(0.0) / 3600
        return hours.fillna(pd.to_numeric(cells, errors="coerce"))


def _wide(table: _Table) -> Iterator[pd.DataFrame]:
    mapping = table.mapping
    patient, row = table.patient(), _row_numbers(table.frame)
    for name, column in _columns(table):
        value, text = _values(table.cells(name), column)
        category = column.category or mapping.category
        # Who someone is has no time of its own, however many visits the table has.
        timeless = category == "demographic" and column.time is None
        part = pd.DataFrame(
            {
                "patient_id": patient,
                "category": category,
                "code": column.code or name,
                "display": column.display or name,
                "value": value,
                "text": text,
                "unit": column.unit,
                "time": table.time(None if timeless else column.time or mapping.time),
                "source_id": row,
            }
        )
        part = part[value.notna() | (text != "")]
        # One fact may stand in several rows (a row per image, with the day's values): it is still one fact, and how
        # often it stands there may tell of what came later.
        once = ["patient_id", "value", "text"] + ([] if timeless else ["time"])
        yield part.drop_duplicates(once) if timeless or column.time or mapping.time else part


def _columns(table: _Table) -> list[tuple[str, Column]]:
    mapping = table.mapping
    if mapping.columns != "all":
        return list(mapping.columns.items())
    for name in mapping.except_:
        table.cells(name)  # a misspelt exception would let a column in
    rules = [mapping.time] if mapping.time else []
    used = {mapping.patient, *mapping.except_, *(name for rule in rules for name in _time_columns(rule))}
    return [(name, Column()) for name in map(str, table.frame.columns) if name not in used]


def _time_columns(rule: TimeRule | str) -> Sequence[str]:
    if isinstance(rule, str):
        return (rule,)
    signed = (*rule.offset_days, *rule.offset_h, *rule.offset_min)
    return (rule.column, *signed, *(name.removeprefix("-") for name in signed))


def _long(table: _Table) -> Iterator[pd.DataFrame]:
    mapping = table.mapping
    name = table.text(mapping.code)
    value, text = _values(table.cells(mapping.value), Column())
    unit = table.text(mapping.unit) if mapping.unit else pd.Series("", index=table.frame.index)
    frame = pd.DataFrame(
        {
            "patient_id": table.patient(),
            "category": mapping.category,
            "code": name,
            "display": name,
            "value": value,
            "text": text,
            "unit": unit,
            "time": table.time(mapping.time),
            "source_id": _row_numbers(table.frame),
            **{
                name: table.limit(column)
                for name, column in (("ref_low", mapping.ref_low), ("ref_high", mapping.ref_high))
            },
        }
    )[(value.notna() | (text != "")) & (name != "")]
    for code, part in frame.groupby("code", sort=False):
        column = mapping.codes.get(str(code))
        yield part if column is None else _named(part, column, str(code), mapping)


def _named(part: pd.DataFrame, column: Column, code: str, mapping: Mapping) -> pd.DataFrame:
    if column.time is not None:
        raise TaskError("A code of a long table has no time of its own", f"mapping / codes.{code}", "Leave time out")
    value, text = part["value"], part["text"]
    if column.values:
        value, text = _values(value.where(text == "", np.nan) if value.notna().any() else text, column)
    return part.assign(
        code=column.code or code,
        display=column.display or code,
        category=column.category or mapping.category,
        unit=column.unit or part["unit"],
        value=value,
        text=text,
    )


def _notes(table: _Table) -> Iterator[pd.DataFrame]:
    mapping = table.mapping
    text = table.text(mapping.text)
    frame = pd.DataFrame(
        {
            "patient_id": table.patient(),
            "time": table.time(mapping.time),
            "kind": table.text(mapping.kind) if mapping.kind else "",
            "text": text,
            "source_id": _row_numbers(table.frame),
        }
    )
    yield frame[text != ""]


def _values(cells: pd.Series, column: Column) -> "tuple[pd.Series[float], pd.Series[str]]":
    """Number and text of each cell: one of the two, or neither where it is empty."""
    numeric = pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_bool_dtype(cells)
    words = cells.astype("str").where(cells.notna(), "").str.strip()
    if numeric or pd.api.types.is_object_dtype(cells) or pd.api.types.is_string_dtype(cells):
        numbers = pd.to_numeric(cells, errors="coerce").astype("float64")
    else:
        numbers = pd.Series(np.nan, index=cells.index)
    if column.values:
        whole = numbers.map(lambda number: f"{number:g}" if pd.notna(number) else "")
        named = whole.map(column.values).fillna(words.map(column.values))
        numbers, words = numbers.mask(named.notna()), named.fillna(words)
    text = words.where(numbers.isna(), "")
    text = text.mask(numbers == np.inf, ABOVE).mask(numbers == -np.inf, BELOW)
    return numbers.mask(np.isinf(numbers)), text


def _row_numbers(frame: pd.DataFrame) -> "pd.Series[str]":
    return pd.Series(np.arange(1, len(frame) + 1), index=frame.index).astype("str")


def _filled(template: str, cells: dict[str, str]) -> str:
    return FIELD.sub(lambda found: cells[found[1]], template)


def _leaves(path: str) -> bool:
    parts = PurePosixPath(path)
    return parts.is_absolute() or ".." in parts.parts or "\\" in path
