"""What a person sees in the terminal: progress on stderr, tables and texts on stdout, errors with their exit code.

In:  numbers and frames. Out: text. Computes nothing. `--json` output bypasses all of it.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isnan

import orjson
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from clinic_mm.errors import ClinicError

OUT = Console(soft_wrap=True, highlight=False)
ERR = Console(stderr=True, highlight=False)
WIDEST = 400
Advance = Callable[[int, int], None]


@contextmanager
def progress(what: str, quiet: bool = False) -> Iterator[Advance]:
    """A progress bar on stderr; the callable takes (done, total)."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=ERR, disable=quiet) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def say(text: str) -> None:
    """One line on stderr."""
    ERR.print(text, markup=False)


def show(text: str) -> None:
    """Text on stdout."""
    OUT.print(text, markup=False)


def show_json(value: object) -> None:
    """One JSON document on stdout."""
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY) + b"\n")
    sys.stdout.flush()


def show_table(title: str, frame: pd.DataFrame) -> None:
    """A frame as a table; numbers right, words left."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in frame.columns:
        table.add_column(
            str(name), no_wrap=True, justify="right" if pd.api.types.is_numeric_dtype(frame[name]) else "left"
        )
    for row in frame.itertuples(index=False):
        table.add_row(*(Text(_cell(value)) for value in row))  # Text: a bracket is a bracket
    OUT.print()
    # As wide as the table is: a piped or small terminal wraps lines rather than loses figures.
    needed = Console(width=WIDEST).measure(table).maximum
    Console(width=max(OUT.width, needed), highlight=False).print(table)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "-" if isnan(value) else f"{value:.3f}"
    return str(value)


def fail(error: ClinicError, as_json: bool) -> None:
    """Say what went wrong, where, and how to mend it."""
    if as_json:
        show_json({"error": type(error).__name__, "what": error.what, "where": error.where, "mend": error.mend})
    ERR.print(f"Error: {error}", markup=False, style="red")
