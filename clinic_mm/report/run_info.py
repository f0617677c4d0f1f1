"""What `run.json` says of a screening run: what was asked, of which model and cohort, with which counts.

In:  nothing. Out: frozen models, and which case keys are fit for a file name.
"""

import re
from typing import Final, Literal

from pydantic import AwareDatetime, Field

from clinic_mm.errors import InputError
from clinic_mm.task import DecisionTime
from clinic_mm.types import SCHEMA_VERSION, Frozen

SAFE_KEY: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")


class ModelOf(Frozen):
    """The model that a run used: the folder as the operator named it, its hash, name and version."""

    path: str
    hash: str
    name: str
    version: str = ""


class Counts(Frozen):
    """Cases of a run: read (`silent` of them without an answer), skipped for want of evidence, failed by our fault.

    `failed` are tried again when the run is resumed; `quarantined` failed so often that they are left alone.
    """

    done: int = Field(default=0, ge=0)
    silent: int = Field(default=0, ge=0)
    skipped: int = Field(default=0, ge=0)
    failed: int = Field(default=0, ge=0)
    quarantined: int = Field(default=0, ge=0)

    @property
    def words(self) -> str:
        """As a person reads it."""
        answered = f"{self.done - self.silent} answered, {self.silent} without an answer"
        return f"{answered}, {self.skipped} skipped, {self.failed} failed, {self.quarantined} quarantined"

    @property
    def trouble(self) -> int:
        """Cases that our own fault cost their answer, so far or for good."""
        return self.failed + self.quarantined

    @property
    def total(self) -> int:
        """Cases that something became of."""
        return self.done + self.skipped + self.failed + self.quarantined


class RunInfo(Frozen):
    """What `run.json` holds.

    Attributes:
        cohort: Its folder, absolute or relative to the run folder.
        modalities: Each name of the task with its kind in the table of modalities.
        decision_time: As in the task, so that the same cases are formed again for viewing.
        finished_at: None where the run was stopped.
    """

    schema_version: str = SCHEMA_VERSION
    run_id: str
    model: ModelOf
    cohort: str
    target: str
    kind: Literal["binary", "multiclass"] = "binary"
    classes: tuple[str, ...]
    modalities: dict[str, str]
    decision_time: DecisionTime = DecisionTime()
    counts: Counts = Counts()
    simulated: bool = False
    finished_at: AwareDatetime | None = None


def checked_key(case_key: str) -> str:
    """The key, if it is fit for a file name.

    Raises:
        InputError: If it is not.
    """
    if not SAFE_KEY.fullmatch(case_key):
        raise InputError("A case key is not fit for a file name", "case_key", "Keys are letters, digits, - _ .")
    return case_key
