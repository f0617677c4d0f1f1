"""Build the two long tables, facts and notes, with their types.

In:  tuples in the order of RECORD_COLUMNS or NOTE_COLUMNS, times in microseconds since 1970.
Out: data frames whose text columns are strings and whose times are UTC.
"""

import math
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa

from clinic_mm.signals import NOTE_COLUMNS, RECORD_COLUMNS, RECORD_NUMBERS

TIME_TYPE: Final = "datetime64[us, UTC]"
NO_TIME: Final = -(1 << 63)
"""Stands for no time: NaT, the least number."""
Fact: TypeAlias = tuple[str, str, str, str, float, str, str, int, str, float, float, str]
"""One row of RECORD_COLUMNS."""
Note: TypeAlias = tuple[str, int, str, str, str]
"""One row of NOTE_COLUMNS."""


def record_frame(facts: Sequence[Fact]) -> pd.DataFrame:
    """Facts as a frame, in their order."""
    return _frame(facts, RECORD_COLUMNS)


def note_frame(notes: Sequence[Note]) -> pd.DataFrame:
    """Notes as a frame, in their order."""
    return _frame(notes, NOTE_COLUMNS)


def _frame(rows: Sequence[tuple[Any, ...]], columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame({name: _column(name, [row[i] for row in rows]) for i, name in enumerate(columns)})


def _column(name: str, values: list[Any]) -> Any:  # noqa: ANN401 - any array of pandas
    if name == "time":
        return pd.to_datetime(np.array(values, np.int64).view("datetime64[us]"), utc=True)
    if name in RECORD_NUMBERS:
        return np.array(values, np.float64)
    return pd.array(pa.array(values, pa.large_string()), dtype="str")  # ten times faster than from a list


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The same frame with text as `str`, numbers as float64 and `time` in UTC."""
    kinds = {name: "float64" if name in RECORD_NUMBERS else "str" for name in frame.columns if name != "time"}
    return frame.assign(time=pd.to_datetime(frame["time"], utc=True).astype(TIME_TYPE)).astype(kinds)


def completed(frame: pd.DataFrame, columns: Sequence[str] = RECORD_COLUMNS) -> pd.DataFrame:
    """The same frame with all columns, typed; what the source has no column for is NaN or ""."""
    gaps = {name: math.nan if name in RECORD_NUMBERS else "" for name in columns if name not in frame}
    return typed(frame.assign(**gaps)[list(columns)])


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows by patient and time, undated first; ties keep their order."""
    patients, _ = pd.factorize(frame["patient_id"], sort=True)
    return frame.take(np.lexsort((microseconds(frame["time"]), patients))).reset_index(drop=True)


def microseconds(times: "pd.Series[Any]") -> np.ndarray:
    """Times as microseconds since 1970, NO_TIME where there is none."""
    return times.to_numpy("datetime64[us]").view(np.int64)


def repeated(frame: pd.DataFrame) -> np.ndarray:
    """Whether each row says what an earlier one said, whatever resource it comes from, in however many words."""
    told = {}
    for name in frame.columns:
        if name == "time":
            told[name] = microseconds(frame[name])
        elif name in RECORD_NUMBERS:
            told[name] = frame[name].to_numpy().view(np.int64)
        elif name not in {"source_id", "display"}:
            told[name] = pd.factorize(frame[name])[0]
    return pd.DataFrame(told).duplicated().to_numpy()
