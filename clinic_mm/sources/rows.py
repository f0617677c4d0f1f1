"""Build the two long tables, facts and notes, with their types.

In:  tuples in the order of RECORD_COLUMNS or NOTE_COLUMNS.
Out: data frames whose text columns are strings and whose times are UTC.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypeAlias

import pandas as pd

from clinic_mm.signals import NOTE_COLUMNS, RECORD_COLUMNS

TIME_TYPE: Final = "datetime64[us, UTC]"
Fact: TypeAlias = tuple[str, str, str, str, float, str, str, datetime | None, str]
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
    """The same frame with text as `str`, `value` as float64 and `time` in UTC."""
    others = {"value": "float64"} if "value" in frame else {}
    text = dict.fromkeys((name for name in frame.columns if name not in {"value", "time"}), "str")
    return frame.assign(time=pd.to_datetime(frame["time"], utc=True).astype(TIME_TYPE)).astype(text | others)


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows by patient and time; ties keep their order."""
    return frame.sort_values(["patient_id", "time"], kind="stable", na_position="first", ignore_index=True)
