"""Open a table of samples, of an ECG or of gaze, as numbers.

In:  a CSV or Parquet file and the columns wanted. Out: float64 columns, NaN where a cell is empty.

A cell that is neither a number nor empty refuses the table: it may hold anything.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Float64
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError, InputError
from clinic_mm.sources.tables.table_file import open_columns

MOST_BYTES: Final = 512 * 2**20
EMPTY: Final = frozenset({"", "nan", "na", "n/a", "null", "none"})
MEND: Final = "Export it again, with numbers only"


def open_samples(path: Path, columns: Collection[str]) -> pd.DataFrame:
    """The wanted columns (names in lower case) as they stand.

    Raises:
        EvidenceError: `table.too_large`, `table.unreadable`.
    """
    if path.stat().st_size > MOST_BYTES:
        raise EvidenceError("table.too_large", "The table is larger than 512 MiB", "", "Cut it into recordings")
    try:
        return open_columns(path, columns)
    except InputError as error:
        raise EvidenceError("table.unreadable", error.what, "", error.mend) from None


def numbers(cells: pd.Series) -> Float64[Array, " n"]:
    """Cells as numbers, NaN where empty.

    Raises:
        EvidenceError: `table.not_numbers` where a cell is neither.
    """
    found = pd.to_numeric(cells, errors="coerce").astype("float64")
    lost = found.isna() & cells.notna()
    if (lost & ~cells.astype("str").str.strip().str.lower().isin(EMPTY)).any() or np.isinf(found).any():
        raise EvidenceError("table.not_numbers", "A column of samples holds what is no number", "", MEND)
    return np.asarray(found.to_numpy())
