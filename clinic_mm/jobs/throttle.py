"""When unattended work may go on: within some hours of the day, while the machine is idle enough, at most so fast.

In:  clocks and the load of the machine. Out: nothing where the next unit may be handed out, else why not yet.

What is being worked on is never interrupted: a unit that was begun at 05:59 ends after 06:00. Nothing here waits.
"""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from datetime import time as clock_time
from typing import Final, NamedTuple, Self
from zoneinfo import ZoneInfo

from clinic_mm.errors import UsageError

HOURS: Final = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")
LASTS: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|)")
SECONDS: Final = {"": 1.0, "s": 1.0, "min": 60.0, "h": 3600.0}
HOUR_S: Final = 3600.0


class Wait(NamedTuple):
    """Why nothing is handed out now.

    Attributes:
        why: For the operator.
        long: Whether it will take so long that workers are better sent home.
        news: Whether the operator is told of it at once; what comes and goes by the minute stands in the progress.
    """

    why: str
    long: bool
    news: bool


@dataclass(frozen=True, slots=True)
class Hours:
    """A part of the day by the wall clock of the site, the end not included; it may go over midnight.

    On the days when the clocks change it is what the clock on the wall says: an hour that is skipped is not worked in,
    and an hour that comes twice is worked in twice.
    """

    start: clock_time
    end: clock_time

    @classmethod
    def parse(cls, text: str) -> Self:
        """`20:00-06:00`.

        Raises:
            UsageError: If it is anything else, or no time at all.
        """
        mend = "Write it as 20:00-06:00; leave it out for the whole day"
        found = HOURS.fullmatch(text.strip())
        try:
            start, end = (clock_time(int(found[at]), int(found[at + 1])) for at in (1, 3)) if found else (None, None)
        except ValueError:
            start = end = None
        if start is None or end is None or start == end:
            raise UsageError("These are no hours", "--hours", mend)
        return cls(start, end)

    def holds(self, wall: clock_time) -> bool:
        """Whether a time of the day lies within."""
        if self.start < self.end:
            return self.start <= wall < self.end
        return wall >= self.start or wall < self.end

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"


def seconds_of(text: str, option: str) -> float:
    """`30s`, `5min`, `1h`, or seconds alone.

    Raises:
        UsageError: If it is anything else, or nothing at all.
    """
    found = LASTS.fullmatch(text.strip())
    if not found or not float(found[1]):
        raise UsageError("This is no length of time", option, "Write it as 30s, 5min or 1h")
    return float(found[1]) * SECONDS[found[2]]


@dataclass(slots=True)
class Throttle:
    """All that may hold work up.

    Attributes:
        hours: Work only within.
        pause_above: Load of the machine over the last minute from which on nothing new is begun; one's own workers are
            part of it.
        most_per_hour: So many cases in an hour, evenly: after n cases the next unit waits n / most_per_hour hours. No
            hour sees more than this and one unit.
        zone: Of the site: where the hours are.
        wall: The moment, with a zone.
        clock: Seconds, never set.
        load: Processes that want to run.
    """

    hours: Hours | None = None
    pause_above: float | None = None
    most_per_hour: int | None = None
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.monotonic
    load: Callable[[], float] = lambda: os.getloadavg()[0]
    _free_at: float | None = None

    def wait(self) -> Wait | None:
        """Why the next unit is to wait; None where it need not."""
        if self.hours and not self.hours.holds(self.wall().astimezone(self.zone).time()):
            return Wait(f"outside {self.hours} {self.zone.key}", long=True, news=True)
        if self.pause_above is not None and (load := self.load()) > self.pause_above:
            return Wait(f"load {load:.1f} above {self.pause_above:g}", long=False, news=True)
        if self._free_at is not None and (left_s := self._free_at - self.clock()) > 0:
            return Wait(f"at most {self.most_per_hour} an hour, next in {left_s:.0f} s", long=False, news=False)
        return None

    def took(self, cases: int) -> None:
        """Cases were handed out."""
        if self.most_per_hour is not None:
            now = self.clock()
            self._free_at = max(now, self._free_at or now) + cases * HOUR_S / self.most_per_hour
