"""Screen what arrives: one run, round after round, as a folder or a cohort grows.

    look -> ingest (of files) -> screen -> wait -> look ...

In:  a model, a cohort folder that another process ingests into, or a folder of files, a run folder. Out: the run, whose
ledger alone says what is done: a watch that is killed and started again goes on where it was. What changed is answered
again, what did not is not touched; after each round the work list is ranked anew.

Folders are looked at every so often; nothing needs the kernel to tell, so shares work too. Files are ingested all
together each time something has arrived and settled (`watch_files`): their headers are read again, their samples are
not. Nothing here answers a case.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from clinic_mm.cohort.gather import files_of
from clinic_mm.cohort.ingest import ingest, no_evidence
from clinic_mm.cohort.manifest import EVIDENCE_FILE, INFO_FILE, open_cohort
from clinic_mm.cohort.spec import SPEC_NAME, read_spec
from clinic_mm.errors import ClinicError, InputError, LeakError, UsageError
from clinic_mm.jobs import lock
from clinic_mm.jobs.asked import ScreenOptions
from clinic_mm.jobs.plan import NO_CASE
from clinic_mm.jobs.screen import check_run, screen_cohort
from clinic_mm.jobs.watch_files import FILE, Files, Look, remember, remembered
from clinic_mm.prep.cache import PrepCache
from clinic_mm.report.driven import WATCH as LOCK
from clinic_mm.report.run import RunInfo
from clinic_mm.times import site_zone

EVERY_S: Final = 30.0
NAP_S: Final = 1.0
STUCK_S: Final = 600.0
"""After so long it is told that files wait, and again each time."""
STUCK: Final = "something in their folder changes all the time, or they are still copied. One folder per study settles"
UNMOUNTED: Final = (
    "is a share not mounted? Nothing is read until one is back; if that is meant, remove {} beside the cohort"
)
NOTHING: Final = "nothing that may be screened yet"
DONE: Final = "everything is screened"
APART: Final = "What is written there would be read as evidence: name a folder outside"
Say = Callable[[str], None]


class Source(Protocol):
    """Where cases come from."""

    cohort: Path

    def refresh(self) -> str | None:
        """Bring the cohort up to date; hash of its content, None while there is none that may be screened."""

    def zone(self) -> ZoneInfo:
        """Of the site."""


@dataclass(slots=True)
class Manifest:
    """A cohort folder that another process ingests into."""

    cohort: Path

    def refresh(self) -> str | None:
        """As it stands there: while it is being written, there is none."""
        return content_of(self.cohort)

    def zone(self) -> ZoneInfo:
        """As ingest noted it."""
        return site_zone(open_cohort(self.cohort).info.site_timezone if content_of(self.cohort) else "UTC")


@dataclass(slots=True)
class Folder:
    """A folder of files, or an ingest file, and the cohort folder that they are ingested into.

    Attributes:
        given: As `ingest` takes it.
        cohort: Written by this process alone.
        files: What lies there.
        key: Of the pseudonyms.
        say: Told what is read, and what waits.
        clock: Seconds, never set.
    """

    given: Path
    cohort: Path
    files: Files
    key: Path | None = None
    say: Say = lambda _: None
    clock: Callable[[], float] = time.monotonic
    _told_at: float | None = None
    _said: str = ""

    def refresh(self) -> str | None:
        """Ingest, if something has arrived, changed or gone, and is not being written any more."""
        look, named = self.files.look(), frozenset(named_files(self.given))
        self._tell_waiting(len(look.unsettled))
        if not look.ready.keys() - named or look.changing or look.unsettled & named or self._lost(look):
            return None
        if look.news or content_of(self.cohort) is None:
            count = len(look.ready.items() - self.files.read.items())
            self.say(f"Reading the folder: {len(look.ready)} files, {count} of them new or changed")
            ingest(self.given, self.cohort, key=self.key, leave=frozenset(path.resolve() for path in look.unsettled))
            if not self.files.unchanged(look):
                self.say("Files changed while they were read; they are read again when they are still")
                return None
            remember(self.cohort, look.ready)
            self.files.read = look.ready
        return content_of(self.cohort)

    def zone(self) -> ZoneInfo:
        """As the ingest file says."""
        return site_zone(read_spec(self.given)[0].site_timezone)

    def _lost(self, look: Look) -> bool:
        """Whether a source is gone as a whole: a share that is not mounted must not take its evidence from all."""
        if not self.files.read.keys() - look.ready.keys():
            return False
        spec, base = read_spec(self.given)
        for source in spec.source:
            root = (base / source.path).absolute()
            had, has = ([path for path in some if path.is_relative_to(root)] for some in (self.files.read, look.ready))
            if had and not has:
                self._say_once(f"All {len(had)} files of the source {source.name} are gone: {UNMOUNTED.format(FILE)}")
                return True
        return False

    def _say_once(self, told: str) -> None:
        if told != self._said:
            self._said = told
            self.say(told)

    def _tell_waiting(self, waiting: int) -> None:
        now = self.clock()
        if not waiting or self._told_at is None:
            self._told_at = now
        elif now - self._told_at >= STUCK_S:
            self._told_at = now
            self.say(f"{waiting} files wait for {STUCK_S / 60:.0f} minutes and more: {STUCK}")


def source_of(given: Path, out: Path, *, cohort: Path | None, key: Path | None, settle_s: float, say: Say) -> Source:
    """What the operator named: a cohort, or files.

    Args:
        given: Cohort folder, folder of files, or ingest file.
        out: The run folder.
        cohort: Where files are ingested into; beside the run where None.
        key: Of the pseudonyms.
        settle_s: So long nothing in a folder may have changed before its files are read.
        say: Told what is read.

    Raises:
        InputError: If there is nothing.
        UsageError: If run or cohort would lie among the files.
        TaskError: If the ingest file is wrong.
    """
    if any((given / name).exists() for name in (INFO_FILE, EVIDENCE_FILE)):
        return Manifest(given)
    if not given.exists():
        raise InputError("There is no such folder", str(given), "Name a cohort folder, or a folder of files")
    into = cohort or out.with_name(out.name + "-cohort")
    list_now(given, into)
    spec, base = read_spec(given)
    for source in spec.source:
        root = (base / source.path).resolve()
        for folder, option in ((out, "--out"), (into, "--cohort-out")):
            if folder.resolve().is_relative_to(root):
                raise UsageError(f"The folder of {option} lies among the files that are watched", option, APART)
    read = remembered(into) if content_of(into) is not None else {}
    return Folder(given, into, Files(lambda: list_now(given, into), read, settle_s), key, say)


def list_now(given: Path, cohort: Path) -> list[Path]:
    """All files that an ingest would read now, the ingest file, the labels and the mappings among them."""
    spec, base = read_spec(given)
    skip = no_evidence(spec, base, given, cohort)
    found = [path for source in spec.source for path in files_of(source, base, skip)[1]]
    return [*found, *named_files(given)]


def named_files(given: Path) -> list[Path]:
    """What the ingest file names, and itself: without any of them nothing can be read."""
    spec, base = read_spec(given)
    named = [base / source.mapping for source in spec.source if isinstance(source.mapping, str)]
    named += [base / spec.labels.path] if spec.labels else []
    named += [given if given.is_file() else base / SPEC_NAME]
    return [path for path in named if path.is_file()]


def content_of(cohort: Path) -> str | None:
    """Hash of what a cohort folder holds; None where it is none, or is being written."""
    try:
        return open_cohort(cohort).info.content_hash
    except ClinicError:
        return None


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
