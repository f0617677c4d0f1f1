"""Build the two long tables, facts and notes, with their types.

In:  tuples in the order of RECORD_COLUMNS or NOTE_COLUMNS.
Out: data frames whose text columns are strings and whose times are UTC.
"""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypeAlias

import pandas as pd

from clinic_mm.signals import NOTE_COLUMNS, RECORD_COLUMNS, RECORD_NUMBERS

TIME_TYPE: Final = "datetime64[us, UTC]"
Fact: TypeAlias = tuple[str, str, str, str, float, str, str, datetime | None, str, float, float, str]
"""One row of RECORD_COLUMNS."""
Note: TypeAlias = tuple[str, datetime | None, str, str, str]
"""One row of NOTE_COLUMNS."""


def record_frame(facts: Sequence[Fact]) -> pd.DataFrame:
    """Facts as a frame, patient by patient in time order, undated first; equal rows once."""
    frame = typed(pd.DataFrame(facts, columns=list(RECORD_COLUMNS)))
    return in_order(frame.drop_duplicates(ignore_index=True))


def note_frame(notes: Sequence[Note]) -> pd.DataFrame:
    """Notes as a frame, patient by patient in time order, undated first; equal rows once."""
    frame = typed(pd.DataFrame(notes, columns=list(NOTE_COLUMNS)))
    return in_order(frame.drop_duplicates(ignore_index=True))


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The same frame with text as `str`, numbers as float64 and `time` in UTC."""
    kinds = {name: "float64" if name in RECORD_NUMBERS else "str" for name in frame.columns if name != "time"}
    return frame.assign(time=pd.to_datetime(frame["time"], utc=True).astype(TIME_TYPE)).astype(kinds)


def completed(frame: pd.DataFrame, columns: Sequence[str] = RECORD_COLUMNS) -> pd.DataFrame:
    """The same frame with all columns, typed; what the source has no column for is NaN or ""."""
    gaps = {name: math.nan if name in RECORD_NUMBERS else "" for name in columns if name not in frame}
    return typed(frame.assign(**gaps)[list(columns)])


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows by patient and time; ties keep their order."""
    return frame.sort_values(["patient_id", "time"], kind="stable", na_position="first", ignore_index=True)
