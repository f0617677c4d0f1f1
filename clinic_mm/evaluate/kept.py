"""Tables that took long to make, kept under a name that says what they were made of.

In:  a folder that nobody else may read, a name, how to make it. Out: the table, from disk where it is there and whole.
"""

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa

KEPT: Final = 6
"""Tables in the folder; those that were made first go."""


def kept_table(folder: Path, made_of: object, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """The table that was made of this, or one made now.

    Args:
        folder: Made with permissions 0700 where there is none.
        made_of: Whatever names its content; two that read the same are the same.
        make: Called where it is not there, or cannot be read.
    """
    path = folder / f"{sha256(repr(made_of).encode()).hexdigest()[:32]}.parquet"
    try:
        return pd.read_parquet(path)
    except (OSError, pa.ArrowException):
        found = make()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        found.to_parquet(part, index=False)
        part.replace(path)
        for old in sorted(folder.glob("*.parquet"), key=lambda one: one.stat().st_mtime_ns)[:-KEPT]:
            old.unlink(missing_ok=True)
    except OSError:  # a full disk costs the next one some seconds, and nothing else
        pass
    return found
