"""Which files of a watched folder may be read: only what nobody is still writing.

In:  the sources of a cohort, looked at again and again. Out: `Look`: whether anything is new, what is to be left out.

A file may be read when nothing in its own folder has changed for some seconds: a series of 300 slices is copied one by
one, and each of them looks finished long before the series is. What was read before and has not changed stays readable
meanwhile; while it is being changed itself, everything waits, lest its patient lose it for a while. Sizes and times of
files are only compared with what was seen before, never with a clock: other machines' clocks count for nothing.
Nothing here opens a file, but for the memory of what was read, which lies in the cohort folder and holds source paths.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple

import orjson

from clinic_mm.report.atomic import written_whole

FILE: Final = "watched.json"
SETTLE_S: Final = 10.0
Seen = tuple[int, int, int]
"""Size, time of the last change in ns, inode."""


class Look(NamedTuple):
    """What one look found.

    Attributes:
        ready: Files that may be read, as they were seen.
        unsettled: Files that are to be left out, new or changed, since something in their folder still changes.
        changing: How many of those were read before: until they are still, nothing is read at all.
        news: Whether something may be read that was not, or is no longer there.
    """

    ready: dict[Path, Seen]
    unsettled: frozenset[Path]
    changing: int
    news: bool


@dataclass(slots=True)
class Files:
    """The files of a watched folder, from one look to the next.

    Attributes:
        listed: All files there are now.
        read: Those that were read, as they were then.
        settle_s: So long nothing in a folder may have changed before its files are read.
        clock: Seconds, never set.
    """

    listed: Callable[[], list[Path]]
    read: dict[Path, Seen] = field(default_factory=dict)
    settle_s: float = SETTLE_S
    clock: Callable[[], float] = monotonic
    _seen: dict[Path, Seen] = field(default_factory=dict)
    _quiet_since: dict[Path, float] = field(default_factory=dict)

    def look(self) -> Look:
        """See what is there now, and what has been still for long enough."""
        now, at = _seen(self.listed()), self.clock()
        touched = {path.parent for path, _ in self._seen.items() ^ now.items()}
        self._seen = now
        folders = {path.parent for path in (*now, *self.read)}
        self._quiet_since = {f: at if f in touched else self._quiet_since.get(f, at) for f in folders}
        loud = {folder for folder, since in self._quiet_since.items() if at - since < self.settle_s}
        unsettled = frozenset(path for path, one in now.items() if path.parent in loud and self.read.get(path) != one)
        gone = self.read.keys() - now.keys()
        changing = len(unsettled & self.read.keys()) + sum(path.parent in loud for path in gone)
        ready = {path: one for path, one in now.items() if path not in unsettled}
        return Look(ready, unsettled, changing, news=not changing and ready != self.read)

    def unchanged(self, look: Look) -> bool:
        """Whether what was ready then is still as it was: asked after it has been read."""
        return _seen(list(look.ready)) == look.ready


def _seen(paths: list[Path]) -> dict[Path, Seen]:
    found: dict[Path, Seen] = {}
    for path in paths:
        try:
            told = path.stat()
        except OSError:  # it went between the two looks
            continue
        found[path] = told.st_size, told.st_mtime_ns, told.st_ino
    return found


def remembered(cohort: Path) -> dict[Path, Seen]:
    """What was read into a cohort folder; nothing where that is not known."""
    by_folder = defaultdict[str, dict[str, list[int]]](dict)
    try:
        by_folder.update(orjson.loads((cohort / FILE).read_bytes()))
        return {
            Path(folder, name): (size, mtime_ns, inode)
            for folder, files in by_folder.items()
            for name, (size, mtime_ns, inode) in files.items()
        }
    except (AttributeError, OSError, TypeError, ValueError):
        return {}


def remember(cohort: Path, read: dict[Path, Seen]) -> None:
    """Write down what was read, beside the cohort that it became."""
    by_folder = defaultdict[str, dict[str, Seen]](dict)
    for path, one in read.items():
        by_folder[str(path.parent)][path.name] = one
    written_whole(cohort / FILE, orjson.dumps(by_folder))
