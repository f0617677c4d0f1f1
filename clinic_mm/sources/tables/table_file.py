"""Open a CSV or Parquet file as a frame, without losing what an id looks like.

In:  .csv, .tsv (also gzipped) or .parquet, told by content.
Out: a frame. Nothing here knows what a column means.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from clinic_mm.errors import InputError

PARQUET: Final = b"PAR1"


def open_table(path: Path) -> pd.DataFrame:
    """A table with numbers as numbers, and ids with leading zeros as text.

    Raises:
        InputError: If the file is no such table.
    """
    try:
        if is_parquet(path):
            return _of_parquet(path)
        return _typed_csv(pd.read_csv(path, sep="\t" if ".tsv" in path.suffixes else ",", dtype="str"))
    except (OSError, EOFError, UnicodeError, ValueError, pa.ArrowException):
        raise _unreadable(path) from None


def open_columns(path: Path, columns: Collection[str] | None = None) -> pd.DataFrame:
    """Some or all columns of a table, names in lower case: cells of CSV as text, of Parquet as they are.

    A CSV file whose header has tabs is read by tabs, whatever it is called. Columns that it lacks are left out.

    Raises:
        InputError: If the file is no such table.
    """

    def wanted(name: object) -> bool:
        return columns is None or str(name).strip().lower() in columns

    try:
        if is_parquet(path):
            frame = _of_parquet(path, [name for name in pq.read_schema(path).names if wanted(name)])
        else:
            header = pd.read_csv(path, sep="\x00", nrows=0, dtype="str", encoding="utf-8-sig").columns
            separator = "\t" if any("\t" in name for name in header) else ","
            frame = pd.read_csv(path, sep=separator, usecols=wanted, dtype="str", encoding="utf-8-sig")
    except (OSError, EOFError, UnicodeError, ValueError, pa.ArrowException):
        raise _unreadable(path) from None
    return frame.rename(columns=lambda name: str(name).strip().lower())


def is_parquet(path: Path) -> bool:
    """Whether a file begins as Parquet does."""
    with path.open("rb") as file:
        return file.read(len(PARQUET)) == PARQUET


def _of_parquet(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    table = pq.read_table(path, columns=columns)
    table.validate(full=True)  # text that is no UTF-8 would only be met on use
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _unreadable(path: Path) -> InputError:
    return InputError("The table cannot be read", path.name, "Give CSV in UTF-8 with a header line, or Parquet")


def _typed_csv(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns whose every cell is a number become numbers, unless a leading zero says that they are codes."""
    for name in frame.columns:
        cells = frame[name].dropna()
        if cells.empty or cells.str.match(r"^\s*[+-]?0\d").any():
            continue
        numbers = pd.to_numeric(cells, errors="coerce")
        if numbers.notna().all():
            frame[name] = pd.to_numeric(frame[name], errors="coerce")
    return frame
