"""A unit of screening work, and what may become of it: plain values that travel between processes and machines.

In:  some cases, in the order of the cohort. Out: `Answered`, `Died` or `Broken`.

A unit is idempotent: answered twice, it gives the same rows and the same shard. Nothing here does any work.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from clinic_mm.errors import ClinicError
from clinic_mm.types import CaseRecord

State = Literal["pending", "done", "skipped", "failed", "quarantined"]
"""Of a case. Waiting; answered, also by silence; nothing usable to answer from; our fault, tried again at the next
start; our fault so often that it is left alone. While its unit is being worked on, a pending case is claimed."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Cases to be answered together.

    Attributes:
        number: Unique in the run; a later answer to the same case has a higher one.
        cases: In the order of the cohort.
        at: When it was handed out, by the driver's clock: workers' clocks count for nothing.
        tries: How often it, or what it is a part of, has died so far.
    """

    number: int
    cases: tuple[CaseRecord, ...]
    at: datetime
    tries: int = 0

    @property
    def shard(self) -> str:
        """Its shard below RUN/shards: partitioned by the day of screening in UTC, ordered by number."""
        return f"day={self.at:%Y-%m-%d}/part-{self.number:08d}.parquet"


@dataclass(frozen=True, slots=True)
class Why:
    """Why a modality of a case did not speak, as skipped.csv has it."""

    status: str
    modality: str
    code: str
    why: str


@dataclass(frozen=True, slots=True)
class CaseRow:
    """What became of one case, without its answer: that stands in the shard.

    Attributes:
        silent: Whether it was read and no answer is given.
        urgency: How much it needs a person, 0 to 1 (`report.urgency`).
        reason: Why it stands where it stands in the work list.
        refused: Codes of what ingest had taken and reading refused.
        whys: Of a case without an answer in a shard, the reason of each modality.
    """

    case_key: str
    state: State
    silent: bool
    urgency: float
    pattern: str
    reason: str
    refused: tuple[str, ...] = ()
    whys: tuple[Why, ...] = ()


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard as it was written: name below RUN/shards, bytes, SHA-256, time of writing, rows."""

    name: str
    size: int
    sha256: str
    mtime_ns: int
    rows: int


@dataclass(frozen=True, slots=True)
class Answered:
    """A unit whose shard and reports are on disk; `shard` is None where no case had anything usable.

    `unknown`: the urgency of a case of which nothing is known.
    """

    number: int
    rows: tuple[CaseRow, ...]
    shard: Shard | None
    unknown: float


@dataclass(frozen=True, slots=True)
class Died:
    """A unit that ended by our own fault, or took its worker with it: to be tried again, then case by case."""

    number: int
    why: str


@dataclass(frozen=True, slots=True)
class Broken:
    """No unit can be done like this: no model, no disk. The job stops; no case is to blame."""

    number: int
    error: ClinicError


Outcome = Answered | Died | Broken
