"""What a person sees in the terminal: progress on stderr, tables and texts on stdout, errors with their exit code.

In:  numbers and frames. Out: text. Computes nothing. `--json` output bypasses all of it.

Whoever stops reading (`| head`) stops the writing, not the work.
"""

import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from clinic_mm.errors import ClinicError, InputError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from clinic_mm.jobs.throttle import Wait
    from clinic_mm.report.run import Counts, RunInfo

WIDEST = 400
DEBUG: Final = "CLINIC_MM_DEBUG"
Advance = Callable[[int, int], None]


class _Lasting(Console):
    """A console that falls silent, and does not end the work, when nobody reads on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        unread()


OUT = _Lasting(soft_wrap=True, highlight=False)
ERR = Console(stderr=True, highlight=False)


def unread() -> None:
    """Let what is still written to stdout go nowhere: its reader has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def progress(what: str, quiet: bool = False) -> Iterator[Advance]:
    """A progress bar on stderr, from the first step on; the callable takes (done, total)."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=ERR, disable=quiet) as bar:
        task = bar.add_task(what, total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


@contextmanager
def pace(what: str, quiet: bool = False) -> Iterator["Pace"]:
    """How far unattended work is, how fast, until when, what went wrong, and why it waits.

    A bar on a terminal, a line a minute in a log, and there a line with its time where it begins to wait or goes on.
    """
    # A log would get the last state of the bar as a line.
    off = quiet or not ERR.is_terminal
    with Progress(TextColumn("{task.description}"), BarColumn(), console=ERR, disable=off) as bar:
        yield Pace(what, bar, quiet=quiet)


class Pace:
    """See `pace`."""

    def __init__(self, what: str, bar: Progress, *, quiet: bool) -> None:
        self._what, self._bar, self._quiet = what, bar, quiet
        self._task = bar.add_task(what, total=None, visible=False)
        self._clock = _Clock()
        self._told, self._why, self._news = what, "", False

    def counted(self, counts: "Counts", total: int) -> None:
        """After every step."""
        told = self._clock.told(counts.total, total)
        self._told = f"{self._what}: {told}, {counts.skipped} skipped, {counts.trouble} failed"
        self._bar.update(self._task, completed=counts.total, total=total, visible=True)
        self._tell()

    def waits(self, wait: "Wait | None") -> None:
        """As often as one likes: why nothing new is begun, None when work goes on."""
        self._why = wait.why if wait else ""
        news = wait is not None and wait.news
        changed, self._news = news != self._news, news
        if changed and not news:
            self._clock.again()
        if wait or changed:
            self._tell(at_once=changed)

    def round_over(self, info: "RunInfo") -> None:
        """After every round of a watch."""
        if not self._quiet:
            say(f"{_now()} {self._what}: {info.counts.words}")

    def _tell(self, *, at_once: bool = False) -> None:
        text = f"{self._told}; waits: {self._why}" if self._why else self._told
        if ERR.is_terminal:
            self._bar.update(self._task, description=text)
        elif not self._quiet and (at_once or self._clock.minute_over()):
            say(f"{_now()} {text}")


class _Clock:
    """The pace since the first count: what was done before, in an earlier run, says nothing of it."""

    def __init__(self) -> None:
        self._since = self._said = time.monotonic()
        self._first: int | None = None

    def told(self, done: int, total: int) -> str:
        """`120 of 800, 4.2/s, about 3 min left`."""
        if self._first is None:
            self._first, self._since = done, time.monotonic()
        rate = (done - self._first) / max(time.monotonic() - self._since, 1e-9)
        if done == self._first:
            return f"{done} of {total}"
        left_s = (total - done) / rate
        left = (
            f"{left_s / 3600:.1f} h"
            if left_s >= 5400
            else f"{left_s / 60:.0f} min"
            if left_s >= 90
            else f"{left_s:.0f} s"
        )
        return f"{done} of {total}, {rate:.3g}/s, about {left} left"

    def again(self) -> None:
        """A wait is over, and says nothing of the pace."""
        self._first = None

    def minute_over(self) -> bool:
        """Once a minute."""
        if time.monotonic() - self._said < 60:
            return False
        self._said = time.monotonic()
        return True


@contextmanager
def stages(what: str, quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """The stage that work of unknown length is at, on stderr; the callable takes (stage, done, total)."""
    columns = (TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=ERR, disable=quiet) as bar:
        task = bar.add_task(what, total=None, visible=False)
        yield lambda stage, *_: bar.update(task, description=f"{what}  {stage}", visible=True)


def _now() -> str:
    """For a log whose reader knows no other time."""
    return datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")


def say(text: str) -> None:
    """One line on stderr."""
    ERR.print(text, markup=False, soft_wrap=True)


def show(text: str) -> None:
    """Text on stdout."""
    OUT.print(text, markup=False)


def show_line(info: "RunInfo") -> None:
    """One line of JSON on stdout after each round of a watch."""
    sys.stdout.write(info.model_dump_json() + "\n")
    sys.stdout.flush()


def show_json(value: object) -> None:
    """One JSON document on stdout; NaN becomes null."""
    import orjson

    document = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)
    try:
        sys.stdout.buffer.write(document + b"\n")
        sys.stdout.flush()
    except BrokenPipeError:
        unread()


def show_table(title: str, frame: "pd.DataFrame") -> None:
    """A frame as a table; numbers right, words left."""
    import pandas as pd

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
    _Lasting(width=max(OUT.width, needed), highlight=False).print(table)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "-" if isnan(value) else f"{value:.3f}"
    return str(value)


def fail(error: ClinicError, as_json: bool) -> int:
    """Say what went wrong, where, how to mend it: one line on stderr, with `--json` one document on stdout too."""
    if as_json:
        show_json({"error": type(error).__name__, "what": error.what, "where": error.where, "mend": error.mend})
    ERR.print(f"Error: {' '.join(str(error).split())}", markup=False, soft_wrap=True, style="red")
    return error.exit_code


def end(error: BaseException, as_json: bool) -> int:
    """Say why a command ended before it was done, and return its exit code. The one border to a terminal."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, BrokenPipeError):
        unread()
        return 0
    if isinstance(error, KeyboardInterrupt):
        say("Interrupted. Nothing half-written is taken for whole; run the command again")
        return 130  # 128 + SIGINT, as shells have it
    if os.environ.get(DEBUG):
        ERR.print("".join(traceback.format_exception(error)), markup=False, soft_wrap=True)
    return fail(_told(error), as_json)


def _told(error: BaseException) -> ClinicError:
    """Any error as one of ours. The text of an unforeseen one is not repeated: it may quote a patient's values."""
    if isinstance(error, ClinicError):
        return error
    if hasattr(error, "format_message"):  # typer's own, of whatever version
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "clinic-mm"
        return UsageError(error.format_message().rstrip("."), command, f"See {command} --help")
    if isinstance(error, OSError) and error.strerror and (typed := _typed(error.filename)):
        return InputError(error.strerror, typed, "Check its permissions, and the space that is left on its disk")
    place = traceback.extract_tb(error.__traceback__)[-1] if error.__traceback__ else None
    where = f"{Path(place.filename).name} line {place.lineno}" if place else ""
    mend = f"Run it again with {DEBUG}=1 and report the traceback, after taking patient details out of it"
    return ClinicError(f"This is our fault, not yours: an unforeseen {type(error).__name__}", where, mend)


def _typed(path: object) -> str:
    """The part of a path that the operator typed; "" if it lies elsewhere. Deeper parts may name a patient."""
    given = [word.partition("=")[2] or word for word in sys.argv[1:]]
    return max((word for word in given if str(path).startswith(word)), key=len, default="")
