"""Where a training keeps what is done, so that a killed one goes on: `MODEL.work/`, one file per fit.

In:  a fit and all that its result depends on. Out: what an earlier run kept of it, whole or in the midst of it.

Every fit here is a function of what it is given: its file is named by a hash of that, of the program, and of how many
threads and processes share the work, since those decide the last bits. So nothing has to be said about the order of
fits, a changed setting or file is another name, and a fit that was done is never taken for another.

Outside of `working` nothing is kept. Files are whole or not there (`report.atomic`); a damaged one is taken away.
"""

import errno
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from pydantic import BaseModel, JsonValue

from clinic_mm.errors import ArtifactError, StoppedError
from clinic_mm.report.atomic import written_whole
from clinic_mm.training.program import program
from clinic_mm.training.resume_state import packed, unpacked
from clinic_mm.training.together import processes, said_by_first

SUFFIX: Final = ".state"
EVERY_S: Final = 30.0
"""Seconds between two states of one fit."""
FULL: Final = (errno.ENOSPC, errno.EDQUOT)

Tell = Callable[[str, Mapping[str, JsonValue]], None]
"""Told of an event, by name, with what belongs to it."""


def nobody(event: str, about: Mapping[str, JsonValue]) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Work:
    """How a training is kept.

    Attributes:
        folder: Where; None keeps nothing.
        every_s: Seconds between two states of one fit; 0 keeps one after each step.
        tell: Told what happens.
    """

    folder: Path | None = None
    every_s: float = EVERY_S
    tell: Tell = nobody


NOWHERE: Final = Work()
_CURRENT: ContextVar[Work] = ContextVar("work", default=NOWHERE)


@contextmanager
def working(work: Work) -> Iterator[None]:
    """Everything fitted within is kept there; what a killed run left half-written is swept away."""
    if work.folder is not None and processes().first:
        work.folder.mkdir(parents=True, exist_ok=True)
        for half in work.folder.glob(".*.tmp"):
            half.unlink(missing_ok=True)
    token = _CURRENT.set(work)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current() -> Work:
    """How the training that is going on is kept."""
    return _CURRENT.get()


@dataclass(frozen=True, slots=True)
class Part:
    """One fit and the file of its state."""

    label: str
    path: Path | None

    @classmethod
    def of(cls, label: str, *things: object) -> "Part":
        """The part whose result depends on these things, the program, and the number of threads."""
        folder = current().folder
        if folder is None:
            return cls(label, None)
        machine = (program(), torch.get_num_threads(), processes().splits_batches)
        return cls(label, folder / f"{identity(label, *machine, *things)}{SUFFIX}")

    def kept(self) -> dict[str, Any] | None:
        """What an earlier run kept; None where there is nothing, or nothing that can be read.

        Raises:
            StoppedError: If several processes work together and are not at the same fit.
        """
        path = self.path
        if path is None:
            return None
        name, content = said_by_first(lambda: (path.name, path.read_bytes() if path.is_file() else None))
        if name != path.name:
            mend = "Give all of them the same cohort, task, program and number of threads"
            raise StoppedError("The processes of this training do not see the same data", self.label, mend)
        try:
            return None if content is None else unpacked(content)
        except ArtifactError:
            current().tell("damaged", {"part": self.label})
            return None

    def keep(self, state: Mapping[str, Any]) -> None:
        """Keep a state in place of the last one.

        Raises:
            StoppedError: If the disk is full; the last state stands.
        """
        if self.path is None or not processes().first:
            return
        try:
            written_whole(self.path, packed(state))
        except OSError as error:
            if error.errno not in FULL:
                raise
            mend = "Free space and run the command again: it goes on from the last state"
            raise StoppedError("No space left to keep the state of the training", str(self.path.parent), mend) from None


def identity(*things: object) -> str:
    """A hash of values: numbers, words, arrays, tensors, and whatever is made of such."""
    told = hashlib.sha256()
    for thing in things:
        _tell(thing, told.update)
    return told.hexdigest()[:32]


def _tell(thing: object, update: Callable[[bytes], None]) -> None:
    update(f"{type(thing).__name__}:".encode())
    if isinstance(thing, torch.Tensor):
        thing = thing.detach().cpu().numpy()
    if isinstance(thing, np.ndarray):
        update(f"{thing.dtype.str}{thing.shape}".encode())
        update(np.ascontiguousarray(thing).tobytes() if thing.dtype != object else repr(thing.tolist()).encode())
    elif isinstance(thing, BaseModel):
        update(thing.model_dump_json().encode())
    elif isinstance(thing, torch.nn.Module):
        _tell(thing.state_dict(), update)
    elif is_dataclass(thing) and not isinstance(thing, type):
        for field in fields(thing):
            _tell(getattr(thing, field.name), update)
    elif isinstance(thing, Mapping):
        for key, value in thing.items():
            _tell(key, update)
            _tell(value, update)
    elif isinstance(thing, Sequence) and not isinstance(thing, str | bytes):
        update(f"{len(thing)}".encode())
        for one in thing:
            _tell(one, update)
    else:
        assert thing is None or isinstance(thing, str | bytes | int | float | bool | np.generic), type(thing)
        update(repr(thing).encode())
    update(b";")
