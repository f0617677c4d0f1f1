"""Know whether files still hold what they held, without reading them again where their stamp says so.

In:  files, the content hash that somebody noted. Out: whether they still hold that content.

A stamp is what the file system says of a file: path, device, inode, size, time of the last writing (mtime) and of the
last change (ctime), both in nanoseconds. Writing into a file, putting another in its place, cutting it and setting its
mtime back all change its stamp, since a ctime cannot be set. A file system without ctime and inode (some network
shares) may miss a change of equal size within its clock's tick: `verify` reads the bytes there, and everywhere.
"""

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.kept import Kept
from clinic_mm.sources.place import content_hash

SETTLED_NS: Final = 2_000_000_000
"""A file changed less than this ago may change again within the same tick of the coarsest clock in use, FAT's."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the file system says of some files, in their order.

    Attributes:
        digest: SHA-256 of all stamps: nobody gets from it to a path.
        settled: Whether any later change must show in the stamp.
    """

    digest: str
    settled: bool


def stamp(files: Sequence[Path], before_ns: int | None = None) -> Stamp:
    """The stamp of some files as they lie there now.

    Args:
        files: In their order.
        before_ns: They are settled if nobody changed them since; now where None.

    Raises:
        EvidenceError: `file.gone` where one is not there.
    """
    now, newest, total = before_ns or time.time_ns(), 0, hashlib.sha256()
    try:
        for path in files:
            s = os.stat(path)  # noqa: PTH116 - a series has hundreds of files
            newest = max(newest, s.st_mtime_ns, s.st_ctime_ns)
            numbers = f"{s.st_dev} {s.st_ino} {s.st_size} {s.st_mtime_ns} {s.st_ctime_ns}"
            total.update(f"{path}\0{numbers}\n".encode(errors="surrogateescape"))
    except OSError:
        what = "A file of this evidence is no longer there"
        raise EvidenceError("file.gone", what, "", "Run clinic-mm ingest again") from None
    return Stamp(total.hexdigest(), newest < now - SETTLED_NS)


@dataclass(frozen=True, slots=True)
class Contents:
    """What files hold, kept by their stamps.

    Attributes:
        kept: Where it is kept; None keeps nothing and reads everything.
        verify: Believe no stamp, read the bytes.
    """

    kept: Kept | None
    verify: bool = False

    def hold(self, files: Sequence[Path], seen: Stamp, content: str) -> bool:
        """Whether the files hold the content of that hash.

        What is kept can only say yes: before it says no, the bytes are read.

        Args:
            files: In the order of the hash.
            seen: Their stamp, taken before.
            content: SHA-256 of all bytes, see `place.content_hash`.

        Raises:
            EvidenceError: `file.unreadable` where one cannot be read.
        """
        name = f"{seen.digest}.content"
        if not self.verify and self.kept and self.kept.read(name) == content.encode():
            return True
        if content_hash(files) != content:
            return False
        if self.kept and seen.settled and stamp(files) == seen:
            self.kept.write(name, content.encode())
        return True
