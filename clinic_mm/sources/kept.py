"""Keep bytes on disk that may be lost at any time: bounded, the least recently used go first.

In:  a name of 64 hexadecimal digits, bytes. Out: the same bytes, or None.

    12/1234….prepared   a checksum of name and content, then the content

What is damaged is removed and counts as never written. Files are written whole or not at all, so any number of
processes may share a folder. Only files of this layout are ever deleted, whatever else lies in the folder.
"""

import hashlib
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SHARD: Final = re.compile(r"[0-9a-f]{2}")
NAME: Final = re.compile(r"[0-9a-f]{64}\.(?:prepared|content|graph)")
PART: Final = re.compile(r"[0-9a-f]{64}\.[a-z]+\.[0-9a-f]+\.part")
PART_LIVES_S: Final = 3600.0
"""A half-written file as old as this is what a killed process left."""
BLOCK: Final = 4096
"""What a file takes on disk is a multiple of this."""
SWEEP_PART: Final = 64
"""A process looks through the folder whenever it has written the bound's 64th part."""
KEEP_PART: Final = 15 / 16
"""Down to this part of the bound: room for what other processes write until they look themselves."""
DIGEST_BYTES: Final = 32
_WRITTEN: Final[Counter[Path]] = Counter()
"""Bytes that this process wrote since it last looked. A `Kept` travels to workers with every task, this does not."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A folder of files, at most `most_bytes` on disk."""

    folder: Path
    most_bytes: int

    def read(self, name: str) -> bytes | None:
        """What was written under a name; None where nothing was, or where it is damaged."""
        path = self._path(name)
        try:
            whole = path.read_bytes()
        except OSError:
            return None
        content = whole[DIGEST_BYTES:]
        if whole[:DIGEST_BYTES] != _digest(name, content):
            self.drop(name)
            return None
        with suppress(OSError):  # a folder that may only be read still serves
            os.utime(path)
        return content

    def write(self, name: str, content: bytes) -> None:
        """Write whole or not at all; a full or vanished disk costs the next run time, not this one its evidence."""
        path = self._path(name)
        part = path.with_name(f"{name}.{os.urandom(8).hex()}.part")
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            part.write_bytes(_digest(name, content) + content)
            part.replace(path)
        except OSError:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            return
        _WRITTEN[self.folder] += _on_disk(len(content))
        if _WRITTEN[self.folder] * SWEEP_PART >= self.most_bytes:
            self.sweep()

    def drop(self, name: str) -> None:
        """Remove what stands under a name."""
        with suppress(OSError):
            self._path(name).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Delete the least recently used files where the bound is passed, and what killed processes left."""
        _WRITTEN[self.folder] = 0
        found = list(self._found())
        if sum(size for _, size, _ in found) <= self.most_bytes:
            return
        total = 0
        for _, size, path in sorted(found, reverse=True):
            total += size
            if total > self.most_bytes * KEEP_PART:
                with suppress(OSError):
                    Path(path).unlink(missing_ok=True)

    def _found(self) -> Iterator[tuple[int, int, str]]:
        """When each file was last used, its bytes on disk, its path."""
        for shard in _scanned(self.folder):
            if not SHARD.fullmatch(shard.name) or not shard.is_dir(follow_symlinks=False):
                continue
            for file in _scanned(shard.path):
                with suppress(OSError):  # another process may have taken it
                    if NAME.fullmatch(file.name):
                        stat = file.stat(follow_symlinks=False)
                        yield stat.st_mtime_ns, _on_disk(stat.st_size), file.path
                    elif PART.fullmatch(file.name) and time.time() - file.stat().st_mtime > PART_LIVES_S:
                        Path(file.path).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        assert NAME.fullmatch(name)
        return self.folder / name[:2] / name


def _scanned(folder: Path | str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _digest(name: str, content: bytes) -> bytes:
    return hashlib.sha256(name.encode() + content).digest()


def _on_disk(size: int) -> int:
    return -(-(size + DIGEST_BYTES) // BLOCK) * BLOCK
