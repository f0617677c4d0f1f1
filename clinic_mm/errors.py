"""Every error of clinic_mm, with what went wrong, where, how to mend it, and the exit code it ends a command with.

    ClinicError                 1   our own fault, or nothing better known
    ├─ UsageError               2   the command line does not fit together
    ├─ InputError               3   a file, folder or table cannot be used
    │  └─ EvidenceError         3   one piece of evidence is rejected (has a code; never stops a cohort)
    ├─ TaskError                4   a task, ingest or mapping file is wrong
    ├─ ExtraMissingError        5   an optional part is not installed
    ├─ ArtifactError            6   a model folder or run is damaged, or of an unknown version
    ├─ LeakError                7   a split or a cohort would make the figures dishonest
    └─ StoppedError             8   numbers or the machine gave out in a training; what was done is kept

No error carries a patient detail: the case key, a tag, a column, a path the operator typed, and nothing more.
All arguments are positional and go to `super().__init__`, so that an error survives a worker process.
"""

from typing import ClassVar, Self


class ClinicError(Exception):
    """Base of all errors that clinic_mm raises on purpose.

    Args:
        what: What is wrong, in one sentence without a full stop.
        where: The place: case key / modality / field. May be empty.
        mend: What a person can do about it. May be empty.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, where: str = "", mend: str = "") -> None:
        super().__init__(what, where, mend)
        self.what, self.where, self.mend = what, where, mend

    def at(self, place: str) -> Self:
        """The same error with one more place in front, for the layer that knows it."""
        where = f"{place} / {self.where}" if self.where else place
        return type(self)(self.what, where, self.mend)

    def __str__(self) -> str:
        place = f" [{self.where}]" if self.where else ""
        mend = f". {self.mend}" if self.mend else ""
        return f"{self.what}{place}{mend}"


class UsageError(ClinicError):
    """The command line does not fit together."""

    exit_code: ClassVar[int] = 2


class InputError(ClinicError):
    """A file, folder or table cannot be used."""

    exit_code: ClassVar[int] = 3


class EvidenceError(InputError):
    """One piece of evidence cannot be used; the caller turns this into `Rejected` and goes on.

    Args:
        code: Stable, dotted: `ct.missing_slices`, `eeg.flat`, `file.empty`.
        what: See ClinicError.
        where: See ClinicError.
        mend: See ClinicError.
    """

    def __init__(self, code: str, what: str, where: str = "", mend: str = "") -> None:
        # Not ClinicError's: the arguments kept by Exception must be those of this constructor, to survive a worker.
        Exception.__init__(self, code, what, where, mend)
        self.code, self.what, self.where, self.mend = code, what, where, mend

    def at(self, place: str) -> Self:
        """The same error with one more place in front."""
        where = f"{place} / {self.where}" if self.where else place
        return type(self)(self.code, self.what, where, self.mend)


class TaskError(ClinicError):
    """A task, ingest or mapping file is wrong."""

    exit_code: ClassVar[int] = 4


class ExtraMissingError(ClinicError):
    """An optional part is not installed."""

    exit_code: ClassVar[int] = 5


class ArtifactError(ClinicError):
    """A model folder or run is damaged, or of an unknown version."""

    exit_code: ClassVar[int] = 6


class LeakError(ClinicError):
    """A split or a cohort would make the figures dishonest."""

    exit_code: ClassVar[int] = 7


class StoppedError(ClinicError):
    """A training cannot go on: a loss that is not finite, no memory, no disk. What was done until then is kept."""

    exit_code: ClassVar[int] = 8
