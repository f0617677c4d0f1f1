"""The log of trainings: one line of JSON per event in a file per run, and one row per run in an SQLite index.

    RUNS/runs.sqlite   when, task, cohort, method, seconds, figures, model, state and why (WAL, synchronous=FULL)
    RUNS/000012.jsonl  what happened in run 12: parts, loss curves, what was taken again, how it ended

In:  what a training says of itself. Out: the two. A run that holds its file's lock is running; one that says so and
does not hold it was killed: no process number is trusted. Nothing identifying is written: hashes, counts, figures.
"""

import fcntl
import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Self

from pydantic import JsonValue

from clinic_mm.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

INDEX: Final = "runs.sqlite"
BUSY_S: Final = 30.0
RUNNING, FINISHED, KILLED, FAILED = "running", "finished", "killed", "failed"
COLUMNS: Final = (
    "run", "started", "state", "reason", "target", "task", "cohort", "method", "cases", "out", "seconds", "figures",
    "model",
)  # fmt: skip
TABLE: Final = """CREATE TABLE IF NOT EXISTS runs (
    run INTEGER PRIMARY KEY AUTOINCREMENT, started TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
    target TEXT NOT NULL, task TEXT NOT NULL, cohort TEXT NOT NULL, method TEXT NOT NULL, cases INTEGER,
    out TEXT NOT NULL, seconds REAL, figures TEXT NOT NULL DEFAULT '{}', model TEXT NOT NULL DEFAULT '')"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run was asked to do.

    Attributes:
        target: Label column.
        task: Hash of the task.
        cohort: Content hash of the cohort.
        method: How modalities are joined.
        out: Name of the model's folder.
    """

    target: str
    task: str
    cohort: str
    method: str
    out: str


class RunLog:
    """The log of one run that is going on."""

    def __init__(self, folder: Path, run: int, lines: IO[str]) -> None:
        self.folder, self.run, self._lines, self._begun = folder, run, lines, time.monotonic()

    @classmethod
    def begin(cls, folder: Path, asked: Asked) -> Self:
        """A new run in a folder of runs, which is made where it is not there yet."""
        folder.mkdir(parents=True, exist_ok=True)
        with _index(folder) as index:
            row = (_now(), RUNNING, asked.target, asked.task, asked.cohort, asked.method, asked.out)
            run = index.execute(
                "INSERT INTO runs (started, state, target, task, cohort, method, out) VALUES (?, ?, ?, ?, ?, ?, ?)", row
            ).lastrowid
            assert run is not None
            # Locked before the row can be seen: to others the run is never one that was killed.
            lines = _lines(folder, run).open("a", encoding="utf-8")
            fcntl.flock(lines, fcntl.LOCK_EX)
        log = cls(folder, run, lines)
        log.tell("begun", {"target": asked.target, "task": asked.task, "cohort": asked.cohort, "method": asked.method})
        return log

    def tell(self, event: str, about: Mapping[str, JsonValue]) -> None:
        """One event, on disk as far as the operating system holds it."""
        self._lines.write(json.dumps({"at": _now(), "event": event, **about}) + "\n")
        self._lines.flush()

    def cases(self, n: int) -> None:
        """How many cases it learns from."""
        self._set(cases=n)

    def finish(self, model: str, figures: Mapping[str, JsonValue]) -> None:
        """It is done."""
        self.tell(FINISHED, {"model": model, "figures": dict(figures)})
        self._end(state=FINISHED, model=model, figures=json.dumps(figures))

    def fail(self, reason: str) -> None:
        """It ended before it was done."""
        self.tell(FAILED, {"reason": reason})
        self._end(state=FAILED, reason=reason)

    def _end(self, **row: str) -> None:
        self._set(seconds=round(time.monotonic() - self._begun, 1), **row)
        self._lines.close()

    def _set(self, **row: str | float | int) -> None:
        columns = ", ".join(f"{name} = ?" for name in row)
        with _index(self.folder) as index:
            index.execute(f"UPDATE runs SET {columns} WHERE run = ?", (*row.values(), self.run))  # noqa: S608 - our names


def runs_of(folder: Path) -> list[dict[str, Any]]:
    """All runs of a folder, the newest first; who says that it is running and is not there was killed.

    Raises:
        InputError: If there is no log.
    """
    with _index(_known(folder)) as index:
        rows = index.execute(f"SELECT {', '.join(COLUMNS)} FROM runs ORDER BY run DESC").fetchall()  # noqa: S608
    told = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    for run in told:
        run["figures"] = json.loads(run["figures"])
        if run["state"] == RUNNING and not _held(_lines(folder, run["run"])):
            run["state"] = KILLED
    return told


def events_of(folder: Path, run: int) -> list[dict[str, Any]]:
    """What happened in one run, in order; a line that a kill cut off is left out.

    Raises:
        InputError: If there is no such run.
    """
    path = _lines(_known(folder), run)
    if not path.is_file():
        raise InputError(f"There is no run {run}", str(folder), "See clinic-mm runs for those there are")
    events = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:
            continue
    return events


def shown(runs: Sequence[Mapping[str, Any]]) -> "pd.DataFrame":
    """Runs as a table for people."""
    import pandas as pd

    rows = [
        {
            "run": run["run"],
            "started": run["started"][:19],
            "state": run["state"],
            "target": run["target"],
            "method": run["method"],
            "cases": "-" if run["cases"] is None else run["cases"],
            "seconds": "-" if run["seconds"] is None else f"{run['seconds']:.0f}",
            "NLL out of fold": " ".join(
                f"{n} {_best(told):.3f}" for n, told in run["figures"].get("experts", {}).items()
            ),
            "cohort": run["cohort"][:8],
            "model": run["model"][:8] or "-",
            "reason": run["reason"] or run["figures"].get("verdict", ""),
        }
        for run in runs
    ]
    return pd.DataFrame(rows)


def _best(told: Mapping[str, Any]) -> float:
    return float(told["nll"][told["how"]])


def as_text(events: Sequence[Mapping[str, Any]]) -> str:
    """Events as lines for people."""
    lines = []
    for event in events:
        about = ", ".join(f"{k} {v}" for k, v in event.items() if k not in ("at", "event", "figures"))
        lines.append(f"{event['at'][:19]}  {event['event']:<12} {about}")
    return "\n".join(lines)


def _known(folder: Path) -> Path:
    if not (folder / INDEX).is_file():
        raise InputError("No training was logged here", str(folder), "Name the folder with --runs, as in training")
    return folder


def _lines(folder: Path, run: int) -> Path:
    return folder / f"{run:06d}.jsonl"


def _held(path: Path) -> bool:
    """Whether a process that is alive holds the file."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@contextmanager
def _index(folder: Path) -> Iterator[sqlite3.Connection]:
    """The index, open for one transaction."""
    with closing(sqlite3.connect(folder / INDEX, timeout=BUSY_S)) as index:
        index.execute("PRAGMA journal_mode = WAL")
        index.execute("PRAGMA synchronous = FULL")
        with index:
            index.execute(TABLE)
            yield index
