"""Where the cases of a watch come from: a cohort that another process writes, or files, ingested as they settle.

In:  what the operator named. Out: a `Source`: a cohort folder, brought up to date at every look.

Files are ingested all together each time something has arrived and settled (`watch_files`): their headers are read
again, their samples are not.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from clinic_mm.cohort.gather import files_of
from clinic_mm.cohort.ingest import ingest, no_evidence
from clinic_mm.cohort.manifest import EVIDENCE_FILE, INFO_FILE, open_cohort
from clinic_mm.cohort.spec import SPEC_NAME, read_spec
from clinic_mm.errors import ClinicError, InputError, UsageError
from clinic_mm.jobs.watch_files import FILE, Files, Look, remember, remembered
from clinic_mm.times import site_zone

STUCK_S: Final = 600.0
"""After so long it is told that files wait, and again each time."""
STUCK: Final = "something in their folder changes all the time, or they are still copied. One folder per study settles"
UNMOUNTED: Final = (
    "is a share not mounted? Nothing is read until one is back; if that is meant, remove {} beside the cohort"
)
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
