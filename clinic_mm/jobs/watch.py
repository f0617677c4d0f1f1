"""Screen what arrives: one run, round after round, as a folder or a cohort grows.

    look -> ingest (of files) -> screen -> wait -> look ...

In:  a model, a source (`jobs.watch_source`), a run folder. Out: the run, whose ledger alone says what is done: a watch
that is killed and started again goes on where it was. What changed is answered again, what did not is not touched;
after each round the work list is ranked anew.

Sources are looked at every so often; nothing needs the kernel to tell, so shares work too. Nothing here answers a case.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from clinic_mm.errors import ClinicError, InputError, LeakError
from clinic_mm.jobs import lock
from clinic_mm.jobs.asked import ScreenOptions
from clinic_mm.jobs.plan import NO_CASE
from clinic_mm.jobs.screen import check_run, screen_cohort
from clinic_mm.jobs.watch_source import Source, content_of
from clinic_mm.prep.cache import PrepCache
from clinic_mm.report.driven import WATCH as LOCK
from clinic_mm.report.run import RunInfo

EVERY_S: Final = 30.0
NAP_S: Final = 1.0
NOTHING: Final = "nothing that may be screened yet"
DONE: Final = "everything is screened"


@dataclass(slots=True)
class Watch:
    """A watch over a source.

    Attributes:
        model: Artifact folder.
        source: Where cases come from.
        out: Run folder.
        monitor: As `screen_cohort` takes it.
        options: As for one screening; `resume` holds for the first round.
        every_s: Between two looks.
        told: Told of the run after every round that screened.
    """

    model: Path
    source: Source
    out: Path
    monitor: Path | None = None
    options: ScreenOptions = field(default_factory=ScreenOptions)
    every_s: float = EVERY_S
    told: Callable[[RunInfo], None] = lambda _: None
    _screened: str | None = None
    _idle: str = ""

    def run(self) -> None:
        """Go on until it is stopped.

        Raises:
            KeyboardInterrupt: If it was stopped from the keyboard.
            SystemExit: With 143, if it was stopped by SIGTERM.
            ClinicError: As `screen_cohort` and `ingest`, but for a cohort that has no case yet, or changes meanwhile.
        """
        check_run(self.out, resume=self.options.resume)  # said now, not when the first file comes
        with _ending(), lock.only_driver(self.out, LOCK):
            try:
                while True:
                    if not self.round():
                        _rest(self.every_s)
            except (KeyboardInterrupt, SystemExit):
                self.options.say("The watch ends. It goes on with the same command and --resume")
                raise

    def round(self) -> bool:
        """One look, and what follows from it.

        Returns:
            Whether there may be more to do at once: the cohort changed while it was screened.
        """
        throttle = self.options.throttle
        throttle.zone = self.source.zone()
        if (wait := throttle.wait()) is not None and wait.long:
            self.options.waits(wait)
            return False
        self.options.waits(None)
        now = self.source.refresh()
        if now is None or now == self._screened:
            self._say_idle(NOTHING if now is None else DONE)
            return False
        try:
            info = screen_cohort(
                self.model, self.source.cohort, self.out, monitor=self.monitor, options=self._checked()
            )
        except (InputError, LeakError) as error:
            return self._awaited(error, now)
        self._screened, self._idle = now, DONE
        self.options = replace(self.options, resume=True, retry=False)
        self.told(info)
        return False

    def _checked(self) -> ScreenOptions:
        """Files that arrive may change between ingest and reading: each is read and checked, with a cache by stamp."""
        cache = self.options.cache
        kept = cache is not None and cache.kept is not None
        return self.options if kept else replace(self.options, cache=PrepCache(None, verify=True))

    def _awaited(self, error: ClinicError, screened: str) -> bool:
        """What another look may mend; anything else is raised."""
        self.options = replace(self.options, resume=True)
        if content_of(self.source.cohort) != screened:
            self.options.say("The cohort changed while it was screened; its changes are screened next")
            return True
        if isinstance(error, LeakError) or error.mend == NO_CASE:
            self._say_idle(NOTHING)
            return False
        raise error

    def _say_idle(self, why: str) -> None:
        if why != self._idle:
            self._idle = why
            self.options.say(f"Watching, {why}; a look every {self.every_s:g} s")


def _rest(seconds: float) -> None:
    """Sleep in naps: a signal that comes just before the system call would be noticed only when that returns."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(NAP_S, left))


@contextmanager
def _ending() -> Iterator[None]:
    """SIGTERM ends what is between two screenings, as Ctrl-C does."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
