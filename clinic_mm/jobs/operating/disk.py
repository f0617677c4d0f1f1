"""What run, cache and room take on disk, how much is free there, and what may be cleared and how.

In:  folders. Out: `Part`s. Nothing is deleted here, and no file is opened.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from clinic_mm.jobs.operating.limits import Disk, limits
from clinic_mm.report.ledger_file import DAMAGED
from clinic_mm.types import Frozen

ANSWERS: Final = "Nothing: these are the answers. Copy the folder away, then screen into a new one"
CACHE: Final = "All of it, while nothing runs: it is made again, which costs time. Or screen with a smaller --cache-gb"
VIEWS: Final = "All of it, at any time: viewers decode anew. Or a smaller view_cache_gb in dashboard.toml"
ROOM: Final = "Nothing: what people did happens once. Make room elsewhere"
COHORT: Final = "Nothing: ingest can make it again, with the same key"
LEFT: Final = f"{DAMAGED}, once somebody has looked at it: rm RUN/{DAMAGED}"


class Part(Frozen):
    """A folder.

    Attributes:
        name: What it is.
        path: Of this machine: for administrators alone.
        bytes: In its files; at least so many where `more`.
        free, total: Of its disk; None where the folder is not there.
        clear: What may be cleared, and how.
    """

    name: str
    path: str
    files: int
    bytes: int
    more: bool
    free: int | None
    total: int | None
    clear: str


class Named(NamedTuple):
    """A folder to look at."""

    name: str
    path: Path
    clear: str


def folders(run: Path, home: Path, cohort: str, cache: str | None) -> list[Named]:
    """The folders of a run and its room."""
    clear = f"{ANSWERS}. {LEFT}" if (run / DAMAGED).is_file() else ANSWERS
    found = [Named("Run", run, clear), Named("Cohort", Path(cohort), COHORT)]
    if cache:
        found.append(Named("Cache of prepared evidence", Path(cache), CACHE))
    return [
        *found,
        Named("Cache of viewers", home / "views", VIEWS),
        Named("Reading room, that cache in it", home, ROOM),
    ]


def part_of(named: Named) -> Part:
    """What a folder takes, looked through as far as `schemas/operator.toml` says."""
    files = size = 0
    more = False
    for one in _sizes(named.path):
        if files >= limits().scan.files:
            more = True
            break
        files, size = files + 1, size + one
    usage = _usage(named.path)
    free, total = usage or (None, None)
    return Part(
        name=named.name, path=str(named.path), files=files, bytes=size, more=more, free=free, total=total,
        clear=named.clear,
    )  # fmt: skip


def short_of(free: int, total: int, rules: Disk | None = None) -> str:
    """`act`, `look`, or "" where there is room."""
    rules = rules or limits().disk
    if free < rules.act_gb * 1e9 or free < rules.act_share * total:
        return "act"
    return "look" if free < rules.look_gb * 1e9 or free < rules.look_share * total else ""


def _usage(path: Path) -> tuple[int, int] | None:
    """Free and all bytes of the disk that a folder lies on."""
    try:
        found = shutil.disk_usage(path)
    except OSError:
        return None
    return found.free, found.total


def _sizes(folder: Path | str) -> Iterator[int]:
    """Of every file; what vanishes meanwhile, or may not be read, counts as nothing."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    if entry.is_dir(follow_symlinks=False):
                        yield from _sizes(entry.path)
                    else:
                        yield entry.stat(follow_symlinks=False).st_size
                except OSError:
                    continue
    except OSError:
        return
