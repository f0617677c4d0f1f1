"""The stamps that files had when ingest read them: COHORT/stamps.npy.

In:  evidence and its files. Out: whether ingest noted that these files, with this stamp, hold what the evidence says.

A note can only say yes: files that were moved, copied or touched since have another stamp, and whoever asks reads
their bytes. The file is sorted numbers of 8 bytes, one for each piece of evidence, mapped and never loaded: a process
pays the same for ten cases and for a million. Nobody gets from a number to a path.
"""

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clinic_mm.cohort.load import locate
from clinic_mm.errors import EvidenceError
from clinic_mm.sources.contents import Stamp, stamp
from clinic_mm.types import Evidence, Finding

FILE: Final = "stamps.npy"
NONE: Final = np.zeros(0, np.uint64)


def note_stamps(out: Path, roots: Mapping[str, str], findings: Iterable[Finding], begun_ns: int) -> None:
    """Note the files of evidence that nobody has changed since before ingest began to read.

    Args:
        out: The cohort folder.
        roots: Absolute folder of each root.
        findings: What was found; only evidence with a content hash is noted.
        begun_ns: When ingest began, by `time.time_ns`.
    """
    folders = {name: Path(root) for name, root in roots.items()}
    marks = []
    for one in findings:
        if isinstance(one, Evidence) and one.content_hash and one.root in folders:
            try:
                seen = stamp(locate(one, folders), begun_ns)
            except EvidenceError:  # gone meanwhile
                continue
            if seen.settled:
                marks.append(_mark(seen, one.content_hash))
    part = out / f"{FILE}.part"
    with part.open("wb") as file:
        np.save(file, np.unique(np.array(marks, np.uint64)), allow_pickle=False)
    part.replace(out / FILE)


def as_noted(cohort: Path, seen: Stamp, content: str) -> bool:
    """Whether ingest read that content from files of that stamp; False where it noted nothing."""
    path = cohort / FILE
    try:
        state = path.stat()
    except OSError:
        return False
    marks, mark = _marks(path, state.st_mtime_ns, state.st_ino), np.uint64(_mark(seen, content))
    place = int(np.searchsorted(marks, mark))
    return place < len(marks) and bool(marks[place] == mark)


@lru_cache(maxsize=16)
def _marks(path: Path, mtime_ns: int, inode: int) -> NDArray[np.uint64]:
    del mtime_ns, inode
    try:
        marks = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):  # damaged, so nothing is known
        return NONE
    return marks if isinstance(marks, np.ndarray) and marks.dtype == np.uint64 and marks.ndim == 1 else NONE


def _mark(seen: Stamp, content: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seen.digest} {content}".encode()).digest()[:8], "little")
