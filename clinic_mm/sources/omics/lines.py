"""Read a table of numbers line by line: the header, then an id and numbers in each line.

In:  .csv or .tsv (also gzipped) with one header line, or Parquet. Out: names of the columns, then blocks of lines.
The ids are the first column; in Parquet that pandas wrote, its index, where that was kept. Memory is that of one block,
however long the file is. Nothing here knows which way a matrix lies.
"""

import csv
import gzip
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.omics.declared import omics_policy
from clinic_mm.sources.tables.table_file import is_parquet

BLOCK_VALUES: Final = 2_000_000
"""Cells of one block: 8 MB."""
MEND: Final = "Give CSV or TSV in UTF-8 with one header line, or Parquet"


class Block(NamedTuple):
    """Some lines: their ids, and their numbers (NaN where a cell means: not measured)."""

    ids: list[str]
    values: Float32[Array, "line column"]


@dataclass(frozen=True, slots=True)
class Lines:
    """A table whose first column holds ids and whose others hold numbers.

    Attributes:
        columns: Names of the columns with numbers, without those that are ignored.
        blocks: All lines, in the order of the file; to be run through once.
    """

    columns: tuple[str, ...]
    blocks: Iterator[Block]


def open_lines(path: Path, ignore: Sequence[str] = ()) -> Lines:
    """Open a table.

    Args:
        path: The table.
        ignore: Columns that are neither an id nor a value.

    Raises:
        EvidenceError: `omics.unreadable` here or while its blocks are run through, `omics.not_numeric`,
            `omics.too_large`, `file.empty`.
    """
    try:
        return _parquet_lines(path, ignore) if is_parquet(path) else _text_lines(path, ignore)
    except (OSError, UnicodeError, csv.Error, pa.ArrowException):
        raise unreadable() from None


def unreadable() -> EvidenceError:
    """The file is no table of this form."""
    return EvidenceError("omics.unreadable", "The table cannot be read", "", MEND)


def _text_lines(path: Path, ignore: Sequence[str]) -> Lines:
    raw = _raw_lines(path)
    first, second = next(raw, ""), next(raw, "")
    if not first.strip():
        raise EvidenceError("file.empty", "The file is empty", "", "Leave it out, or export it again")
    delimiter = "\t" if "\t" in first else ","
    header, width = _cells(first, delimiter), len(_cells(second, delimiter))
    if width == len(header) + 1:  # R's write.table has no name for the column of row names
        header = ["", *header]
    dropped = _dropped(header, ignore)
    columns = tuple(name for at, name in enumerate(header) if at and at not in dropped)
    return Lines(columns, _text_blocks(chain([second], raw) if second else iter(()), delimiter, len(header), dropped))


def _raw_lines(path: Path) -> Iterator[str]:
    most = omics_policy().line_bytes
    with _bytes(path) as binary, io.TextIOWrapper(binary, encoding="utf-8-sig", newline="") as text:
        try:
            while line := text.readline(most):
                if len(line) >= most:
                    raise EvidenceError("omics.too_large", "A line of the table is too long", "", MEND)
                if line.strip():
                    yield line.rstrip("\r\n")
        except (OSError, EOFError, UnicodeError):
            raise unreadable() from None


def _bytes(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


def _dropped(header: Sequence[str], ignore: Sequence[str]) -> frozenset[int]:
    if lacking := [name for name in ignore if name not in header[1:]]:
        what = f"The table has no column {lacking[0]!r} to ignore"
        raise EvidenceError("omics.unreadable", what, "", "Correct options / ignore of the source")
    return frozenset(at for at, name in enumerate(header) if at and name in ignore)


def _text_blocks(lines: Iterator[str], delimiter: str, width: int, dropped: frozenset[int]) -> Iterator[Block]:
    ids: list[str] = []
    rows: list[Array] = []
    for number, line in enumerate(lines, start=2):
        cells = _cells(line, delimiter)
        if len(cells) != width:
            what = f"Line {number} has {len(cells)} cells, the header has {width}"
            raise EvidenceError("omics.unreadable", what, "", MEND)
        ids.append(cells[0].strip())
        rows.append(
            _numbers(
                cells[1:] if not dropped else [c for at, c in enumerate(cells) if at and at not in dropped], number
            )
        )
        if len(rows) * width >= BLOCK_VALUES:
            yield Block(ids, np.stack(rows))
            ids, rows = [], []
    if rows:
        yield Block(ids, np.stack(rows))


def _cells(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter)) if '"' in line else line.split(delimiter)


def _numbers(cells: Sequence[str], number: int) -> Float32[Array, " column"]:
    try:
        if not any("_" in cell for cell in cells):  # Python reads 1_000, no other program does
            return np.array(list(map(float, cells)), np.float32)
    except ValueError:
        pass  # a cell that means: not measured, or no number
    missing = omics_policy().missing
    return np.array([np.nan if c.strip() in missing else _number(c, number) for c in cells], np.float32)


def _number(cell: str, number: int) -> float:
    try:
        if "_" not in cell:
            return float(cell)
    except ValueError:
        pass
    what = f"Line {number} holds a cell that is no number"
    mend = "Name columns that hold no values under options / ignore of the source, or correct the table"
    raise EvidenceError("omics.not_numeric", what, "", mend)


def _parquet_lines(path: Path, ignore: Sequence[str]) -> Lines:
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
    index = [name for name in (schema.pandas_metadata or {}).get("index_columns", []) if isinstance(name, str)]
    first = schema.names.index(index[0]) if len(index) == 1 and index[0] in schema.names else 0
    places = [first, *(at for at in range(len(schema.names)) if at != first)]
    header = [schema.names[at] for at in places]
    dropped = _dropped(header, ignore)
    wanted = [place for at, place in enumerate(places) if at not in dropped]
    columns = tuple(schema.names[place] for place in wanted[1:])
    return Lines(columns, _parquet_blocks(path, max(1, BLOCK_VALUES // len(places)), wanted))


def _parquet_blocks(path: Path, rows: int, wanted: Sequence[int]) -> Iterator[Block]:
    """Blocks of the columns of those numbers, the ids first."""
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=rows):
                batch.validate(full=True)
                ids = [str(one).strip() if one is not None else "" for one in batch.column(wanted[0]).to_pylist()]
                values = np.zeros((len(ids), len(wanted) - 1), np.float32)
                for at, place in enumerate(wanted[1:]):
                    values[:, at] = _column(batch.column(place))
                yield Block(ids, values)
    except (OSError, pa.ArrowException):
        raise unreadable() from None


def _column(column: pa.Array) -> Float32[Array, " line"]:
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
        mend = "Name columns that hold no values under options / ignore of the source"
        raise EvidenceError("omics.not_numeric", "A column of the table holds no numbers", "", mend)
    return np.asarray(column.cast(pa.float32(), safe=False).to_numpy(zero_copy_only=False), np.float32)
