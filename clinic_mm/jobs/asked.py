"""What a person asks of a screening: which cases, how, and whom to tell; and what there is already.

In:  options of the command line, or of a program. Out: `Asked`, from which `jobs.agreed` makes the job.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from clinic_mm.cohort.manifest import Cohort
from clinic_mm.errors import UsageError
from clinic_mm.evaluate.monitor.state import MonitorState
from clinic_mm.jobs.spec import Head, JobSpec, Selection
from clinic_mm.jobs.throttle import Throttle, Wait
from clinic_mm.report.run import Counts

if TYPE_CHECKING:  # preparing loads torch, and a driver does not prepare
    from clinic_mm.prep.batch import Progress
    from clinic_mm.prep.cache import PrepCache

EVERY: Final = Selection()


@dataclass(frozen=True, slots=True)
class ScreenOptions:
    """How to screen. What of level, explain, device, precision, unit and selection is not named stays as it was begun.

    Attributes:
        workers: Processes.
        cache: Of prepared evidence.
        progress: Told of cases done and of all cases.
        validate: Whether reports are validated.
        level: Of the prediction sets.
        say: Told what a person should know.
        explain: Also what experts that are networks rest on inside record and note, which takes longer than the answer.
        engine: Where units are done; None for worker processes, or for one worker this very process.
        address: Of the engine's cluster.
        device: Where networks run: cpu or cuda.
        precision: Of the networks: float32, or bfloat16 where `jobs.precision` finds that it moves no decision.
        unit: Cases answered together at most.
        selection: Which cases; what it does not name stays as it was begun.
        every: Whether what the run was begun with is no selection any more.
        resume: Whether the run folder may hold this run already.
        retry: On resuming, whether what failed or was refused when read is tried anew.
        counted: Told of the counts, and of the number of all cases, after every commit.
        throttle: What may hold work up; its hours are those of the site.
        waits: Told why nothing new is begun, and None when work goes on.
    """

    workers: int = 1
    cache: "PrepCache | None" = None
    progress: "Progress | None" = None
    validate: bool = True
    level: float | None = None
    say: Callable[[str], None] = lambda _: None
    explain: bool = False
    engine: str | None = None
    address: str = ""
    device: str | None = None
    precision: str | None = None
    unit: int | None = None
    selection: Selection = EVERY
    every: bool = False
    resume: bool = False
    retry: bool = False
    counted: Callable[[Counts, int], None] = lambda *_: None
    throttle: Throttle = field(default_factory=Throttle)
    waits: Callable[[Wait | None], None] = lambda _: None


DEFAULTS: Final = ScreenOptions()


@dataclass(frozen=True, slots=True)
class Asked:
    """One start of a screening.

    Attributes:
        model: Folder of the model, absolute.
        head: What the driver knows of it.
        cohort: Open cohort.
        out: Run folder.
        options: Which cases, how, and whom to tell.
        before: The job that stands in the run folder.
        state: What monitoring found of this model.
    """

    model: Path
    head: Head
    cohort: Cohort
    out: Path
    options: ScreenOptions
    before: JobSpec | None = None
    state: MonitorState | None = None


def selection_of(
    *, unseen: bool = False, since: str | None = None, pattern: str | None = None, limit: int | None = None
) -> Selection:
    """Which cases, as a person writes it.

    Args:
        unseen: Only of patients that the model was not trained on.
        since: ISO 8601; UTC where it names no zone.
        pattern: Names of modalities, joined by + or commas.
        limit: At most so many.

    Raises:
        UsageError: If `since` is no time.
    """
    names = None if pattern is None else tuple(sorted(filter(None, re.split(r"[+,\s]+", pattern))))
    moment = None
    if since is not None:
        try:
            moment = datetime.fromisoformat(since)
        except ValueError:
            raise UsageError("This is no time", "--since", "Write it as 2026-11-22 or 2026-11-22T08:00+01:00") from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return Selection(unseen=unseen, since=moment, pattern=names, limit=limit)
