"""One training from begin to end as an operator sees it: kept where it can go on, logged, and ended in plain words.

In:  the model's folder, what is asked, where the log goes. Out: a `Work` that everything fitted within is kept by.

`MODEL.work/` stands until the model is written, then it goes. One training at a time works there. It holds what was
learnt from patients: it is as confidential as the model.
"""

import errno
import fcntl
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch
from pydantic import JsonValue

from clinic_mm.errors import ClinicError, InputError, StoppedError
from clinic_mm.training.resume import EVERY_S, FULL, Tell, Work, identity, working
from clinic_mm.training.runlog import FAILED, FINISHED, Asked, RunLog
from clinic_mm.training.together import processes
from clinic_mm.training.trackers import Tracker

LOCK: Final = ".lock"
NO_MEMORY: Final = ("can't allocate memory", "not enough memory", "out of memory", "Cannot allocate memory")
"""How torch says it, in a RuntimeError."""
AGAIN: Final = "run the command again: it goes on from what is kept"


@dataclass(frozen=True, slots=True)
class Keep:
    """How a training is kept and logged.

    Attributes:
        every_s: Seconds between two states of one fit; 0 keeps one after each step.
        runs: Folder of the log; None for none.
        trackers: Told every event beside the log.
    """

    every_s: float = EVERY_S
    runs: Path | None = None
    trackers: tuple[Callable[[Asked, int], Tracker], ...] = ()


KEPT: Final = Keep()


@dataclass(slots=True)
class Session:
    """One training that is going on."""

    work: Work
    log: RunLog | None
    trackers: list[Tracker] = field(default_factory=list)

    def saying(self, say: Callable[[str], None]) -> Callable[[str], None]:
        """What tells a person how far it is, and the log too; of several processes the first one speaks."""

        def both(text: str) -> None:
            if processes().first:
                say(text)
            self.work.tell("stage", {"stage": text})

        return both

    def finish(self, model: str, figures: Mapping[str, JsonValue]) -> None:
        """The model is written: nothing needs to be kept any more."""
        if self.log is not None:
            self.log.finish(model, figures)
        for tracker in self.trackers:
            tracker.close(FINISHED)
        if self.work.folder is not None and processes().first:
            shutil.rmtree(self.work.folder)


def work_folder(out: Path) -> Path:
    """Where a training of this model is kept until it is done."""
    whole = out.resolve()
    return whole.with_name(f"{whole.name}.work")


def beside(out: Path) -> Path:
    """Where trainings are logged unless another place is named."""
    return out.resolve().parent / "training_runs"


@contextmanager
def training_session(out: Path, asked: Asked, keep: Keep) -> Iterator[Session]:
    """Everything fitted within is kept and logged; no memory and no disk end it as StoppedError.

    Of several processes the first one keeps and logs.

    Raises:
        InputError: If another training works for this model.
        StoppedError: If memory or disk give out.
    """
    with ExitStack() as stack:
        folder = work_folder(out)
        with _plainly(folder):
            first = processes().first
            if first:
                stack.enter_context(alone(folder, "training of this model", "another model folder"))
            log = RunLog.begin(keep.runs, asked) if first and keep.runs is not None else None
            trackers = [make(asked, 0 if log is None else log.run) for make in (keep.trackers if first else ())]
            session = Session(Work(folder, keep.every_s, _tell_all(log, trackers)), log, trackers)
            stack.enter_context(working(session.work))
            try:
                yield session
            except BaseException as error:
                _failed(session, error)
                raise


def asked_of_task(task: object, target: str, method: str, cohort: str, out: Path) -> Asked:
    """What a run was asked, for the log."""
    return Asked(target, identity(task)[:16], cohort[:16], method, out.resolve().name)


def _tell_all(log: RunLog | None, trackers: list[Tracker]) -> Tell:
    def tell(event: str, about: Mapping[str, JsonValue]) -> None:
        if log is not None:
            log.tell(event, about)
        for tracker in trackers:
            tracker.tell(event, about)

    return tell


def _failed(session: Session, error: BaseException) -> None:
    """The reason without an unforeseen error's text: it may quote a patient's values."""
    if session.log is not None:
        known = _given_out(error, session.work.folder) or error
        session.log.fail(known.what if isinstance(known, ClinicError) else type(error).__name__)
    for tracker in session.trackers:
        tracker.close(FAILED)


@contextmanager
def alone(folder: Path, work: str, other: str) -> Iterator[None]:
    """Hold a folder, which is made where it is not there; the kernel takes the hold from a process that dies.

    Args:
        folder: Where the work is kept.
        work: What goes on there, in words.
        other: What may be named in its place.

    Raises:
        InputError: If another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            mend = f"Wait for it to end, or name {other}"
            raise InputError(f"Another {work} is going on", str(folder), mend) from None
        yield


@contextmanager
def _plainly(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.OperationalError, MemoryError, RuntimeError) as error:
        plain = _given_out(error, folder)
        if plain is None:
            raise
        raise plain from None


def _given_out(error: BaseException, folder: Path | None) -> StoppedError | None:
    """Disk or memory that gave out, in our words; None for anything else."""
    disk = isinstance(error, OSError) and error.errno in FULL
    if disk or (isinstance(error, sqlite3.OperationalError) and "full" in str(error)):
        return StoppedError("No space left on the disk", str(folder), f"Free space and {AGAIN}")
    memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
    memory |= isinstance(error, OSError) and error.errno == errno.ENOMEM
    if memory or (isinstance(error, RuntimeError) and any(words in str(error) for words in NO_MEMORY)):
        mend = f"Lower [train] batch or --workers, or take a machine with more memory; {AGAIN}"
        return StoppedError("No memory left", str(folder), mend)
    return None
