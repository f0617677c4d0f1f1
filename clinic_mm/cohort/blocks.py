"""Read a cohort in blocks of patients, so that memory stays the same for a thousand cases and for a million.

In:  the rows that form cases, sorted by patient; the cohort's tables, which ingest wrote sorted by patient.
Out: blocks: some cases with all evidence, and all times of record and note rows, of their patients.

Every table is read once, forwards, a few thousand rows at a time. Nothing here judges or joins anything.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clinic_mm.cohort.known import TIME_COLUMNS, known_times
from clinic_mm.cohort.manifest import EVIDENCE_FILE, ROW_FILES, Cohort
from clinic_mm.errors import InputError

BATCH_ROWS: Final = 8_192
"""Rows decoded at a time: the findings of that many, CT series with hundreds of paths among them, are some MB."""
KEY: Final = "patient_key"


class Block(NamedTuple):
    """Some cases, and everything that was found of their patients.

    Attributes:
        rows: The cases, numbered from 0.
        evidence: Rows of `evidence.parquet` in their order, numbered from 0, with `accept_undated`.
        times: When the rows of a record or note were known.
    """

    rows: pd.DataFrame
    evidence: pd.DataFrame
    times: dict[str, pd.DataFrame]


def blocks(cohort: Cohort, rows: pd.DataFrame, columns: Sequence[str], size: int) -> Iterator[Block]:
    """Cases with what was found of their patients, block by block.

    Args:
        cohort: An open cohort.
        rows: Cases, sorted by `patient_key`.
        columns: Of `evidence.parquet`, `patient_key` and `root` among them.
        size: Cases in a block, at least; all cases of a patient stand in one.

    Raises:
        InputError: If a table does not lie by patient, or cannot be read.
    """
    evidence = _Sorted(cohort.path / EVIDENCE_FILE, columns)
    times = {name: _Sorted(cohort.path / ROW_FILES[name], known) for name, known in TIME_COLUMNS.items()}
    start = 0
    for end in _ends(rows, size):
        mine = rows.iloc[start:end].reset_index(drop=True)
        wanted = pa.array(mine[KEY].unique(), pa.string())
        found = cohort.accepting(evidence.of(wanted).to_pandas())
        yield Block(mine, found, {name: known_times(table.of(wanted)).to_pandas() for name, table in times.items()})
        start = end


def batches(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    """A table of the cohort in pieces; the first is empty, so that there always is one.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        with pq.ParquetFile(path) as file:
            yield file.schema_arrow.empty_table().select(list(columns))
            for batch in file.iter_batches(BATCH_ROWS, columns=list(columns), use_threads=False):
                yield pa.Table.from_batches([batch])
    except (OSError, pa.ArrowInvalid):
        what, mend = "A table of the cohort is gone or damaged", "Run clinic-mm ingest again"
        raise InputError(what, path.name, mend) from None


class _Sorted:
    """A table that lies by patient, asked for one group of patients after the other."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._name, self._batches = path.name, batches(path, columns)
        self._none = next(self._batches)
        self._rest: pa.Table | None = None
        self._last = ""

    def of(self, patients: pa.Array) -> pa.Table:
        """All rows of these patients (sorted), none of whom comes before those of an earlier call."""
        bound, taken = patients[-1].as_py(), [self._none]
        while (batch := self._next()) is not None:
            until = pc.sum(pc.less_equal(batch[KEY], bound)).as_py() or 0
            mine = batch.slice(0, until)
            taken.append(mine.filter(pc.is_in(mine[KEY], value_set=patients)))
            if until < len(batch):
                self._rest = batch.slice(until)
                break
        return pa.concat_tables(taken)

    def _next(self) -> pa.Table | None:
        if (rest := self._rest) is not None:
            self._rest = None
            return rest
        batch = next(self._batches, None)
        if batch is not None and len(batch):
            self._check(batch[KEY].combine_chunks())
        return batch

    def _check(self, keys: pa.Array) -> None:
        if keys[0].as_py() < self._last or pc.all(pc.less_equal(keys[:-1], keys[1:])).as_py() is False:
            what, mend = "A table of the cohort does not lie by patient", "Run clinic-mm ingest again"
            raise InputError(what, self._name, mend)
        self._last = keys[-1].as_py()


def _ends(rows: pd.DataFrame, size: int) -> Iterator[int]:
    """Where blocks end: after at least `size` rows, at a patient's last."""
    key = rows[KEY]
    last = np.flatnonzero((key != key.shift(-1)).to_numpy()) + 1
    end, most = 0, len(last) - 1
    while end < len(rows):
        end = int(last[min(int(np.searchsorted(last, end + size)), most)])
        yield end
