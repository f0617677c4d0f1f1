"""Find one patient's rows in a cohort's Parquet file without reading the file again for each patient.

In:  a Parquet file whose rows lie together by `patient_key`, as ingest writes them; a patient key.
Out: that patient's rows, all columns, typed, as ingest wrote them.

A file of up to ROWS_HELD rows is held once per process; of a larger one, and of one whose rows do not lie together,
only the row groups that hold the patient are read. A file that changes is read anew.
"""

from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from clinic_mm.sources.record.rows import typed

KEY: Final = "patient_key"
ROWS_HELD: Final = 3_000_000
"""About 0.4 GB in memory."""
FILES_HELD: Final = 2
"""A cohort has two such files, of facts and of notes."""


class _Held:
    """A whole file in memory, and where each patient's rows begin and end."""

    def __init__(self, frame: pd.DataFrame, place: dict[str, tuple[int, int]]) -> None:
        self.frame, self.place = frame, place

    def rows(self, key: str) -> pd.DataFrame:
        """The rows of one patient."""
        start, length = self.place.get(key, (0, 0))
        return self.frame.iloc[start : start + length]


def patient_rows(path: Path, key: str) -> pd.DataFrame:
    """The rows of one patient, empty where there are none.

    Raises:
        OSError, pyarrow.ArrowException: If the file cannot be read.
        KeyError: If it has no column `patient_key`.
    """
    stat = path.stat()
    held = _held(path, stat.st_mtime_ns, stat.st_size)
    return held.rows(key) if held else typed(pd.read_parquet(path, filters=[(KEY, "==", key)]))


@lru_cache(maxsize=FILES_HELD)
def _held(path: Path, mtime_ns: int, size: int) -> _Held | None:
    """The file in memory; None where it is too large or its rows do not lie together. The rest is the cache's key."""
    del mtime_ns, size
    file = pq.ParquetFile(path)
    if file.metadata.num_rows > ROWS_HELD:
        return None
    frame = typed(pd.read_parquet(path))
    keys = frame[KEY].to_numpy(dtype=object)
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if len(keys) else np.zeros(0, int)
    names = keys[starts].tolist()
    if len(set(names)) != len(names):
        return None
    lengths = np.diff(np.r_[starts, len(keys)])
    return _Held(frame, dict(zip(names, zip(starts.tolist(), lengths.tolist(), strict=True), strict=True)))
