"""Open a CSV or Parquet file as a frame, without losing what an id looks like.

In:  .csv, .tsv (also gzipped) or .parquet, told by content.
Out: a frame. Nothing here knows what a column means.
"""

from pathlib import Path

import pandas as pd
import pyarrow as pa

from clinic_mm.errors import InputError


def open_table(path: Path) -> pd.DataFrame:
    """A table with numbers as numbers, and ids with leading zeros as text.

    Raises:
        InputError: If the file is no such table.
    """
    try:
        with path.open("rb") as file:
            is_parquet = file.read(4) == b"PAR1"
        if is_parquet:
            return pd.read_parquet(path)
        return _typed_csv(pd.read_csv(path, sep="\t" if ".tsv" in path.suffixes else ",", dtype="str"))
    except (OSError, EOFError, UnicodeError, ValueError, pa.ArrowException):
        raise InputError(
            "The table cannot be read", path.name, "Give CSV in UTF-8 with a header line, or Parquet"
        ) from None


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
