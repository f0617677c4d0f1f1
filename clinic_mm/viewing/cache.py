"""Keep decoded evidence on disk as int16, so that a viewer reads a slice of it and not all of it.

In:  a name of 64 hexadecimal digits, blocks of int16, and what they are (plain JSON).
Out: a `View`: the blocks, mapped from the file and each held against its checksum, or None.

    12/1234….view    head | what they are | blocks, little endian | CRC-32 of each block

A file is there whole or not at all, says itself which name it was written under, and is removed where it is damaged.
Unlike `sources.kept`, files are read in pieces, and the bound holds at every moment, for all processes that share the
folder: room is taken before it is written, the least recently used go first, and the half-written file of a killed
process is known by the lock that died with it. A view that is still open while its file is removed stays readable.
"""

import fcntl
import os
import re
import struct
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Final

import numpy as np
import orjson
from jaxtyping import Int16
from numpy import ndarray as Array

from clinic_mm.errors import ArtifactError, InputError

DEFAULT_GB: Final = 8.0
MAGIC: Final = b"cmmview1"
HEAD: Final = struct.Struct("<8sII")
"""Magic, bytes of the JSON, its CRC-32."""
ALIGNED: Final = 4096
STORED: Final = np.dtype("<i2")
CRC: Final = np.dtype("<u4")
NAME: Final = re.compile(r"[0-9a-f]{64}")
FILES: Final = "[0-9a-f][0-9a-f]/*.view"
PARTS: Final = "[0-9a-f][0-9a-f]/*.part"
MOST_OPEN: Final = 8
"""Views of one process that stay open: what is removed on disk gives its room back when these let go of it."""
Blocks = Int16[Array, "block ..."]


class DamagedError(ArtifactError):
    """A block is not what was written. The file is gone already: decode anew."""


class View:
    """Blocks of int16 in a file, and what they are.

    Attributes:
        told: As it was written.
        blocks: Mapped from the file, read-only; take them from `read`, which holds them against their checksums.
    """

    def __init__(self, told: Mapping[str, Any], blocks: Blocks, crcs: Array, inode: int) -> None:
        self.told, self.blocks, self.inode = dict(told), blocks, inode
        self._crcs, self._good = crcs, np.zeros(len(blocks), bool)

    def read(self, first: int, stop: int) -> Blocks:
        """Blocks `first` to `stop`, each looked at once per process.

        Raises:
            DamagedError: If one is not what was written.
        """
        for at in range(first, stop):
            if not self._good[at]:
                if _crc(self.blocks[at]) != self._crcs[at]:
                    raise DamagedError("A kept view is damaged", "", "It is decoded anew when it is asked for again")
                self._good[at] = True
        return self.blocks[first:stop]

    def whole(self) -> Blocks:
        """All blocks.

        Raises:
            DamagedError: If one is not what was written.
        """
        return self.read(0, len(self.blocks))


class ViewCache:
    """A folder of views that never takes more than `most_bytes` on disk.

    Args:
        folder: Made where it is not there, readable by its owner only: what lies here shows patients.
        most_bytes: Bound of all files together, whole and half-written.

    Raises:
        InputError: If the folder cannot be made.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder, self.most_bytes = folder, most_bytes
        self._open: OrderedDict[str, View] = OrderedDict()
        self._lock = Lock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            what, mend = "The folder of the view cache cannot be made", "Name a folder on a disk that can be written"
            raise InputError(what, str(folder), mend) from None
        self.make_room(0)

    def get(self, name: str) -> View | None:
        """What was kept under a name; None where nothing was, or where its head is damaged."""
        path = self._path(name)
        try:
            inode = path.stat().st_ino
            os.utime(path)
        except OSError:
            self._forget(name)
            return None
        with self._lock:
            if (view := self._open.get(name)) and view.inode == inode:
                self._open.move_to_end(name)
                return view
        if (view := _opened(path, name)) is None:
            self.drop(name)
            return None
        with self._lock:
            self._open[name] = view
            while len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
        return view

    def keep(self, name: str, told: Mapping[str, Any], shape: tuple[int, ...], blocks: Iterable[Array]) -> View | None:
        """Write a view, whole or not at all.

        Args:
            name: 64 hexadecimal digits that stand for these very values and nothing else.
            told: What they are, plain JSON.
            shape: Of all blocks together, the number of blocks first.
            blocks: int16, one after the other.

        Returns:
            The view; None where it has no room within the bound or the disk is full: then it is not kept.
        """
        path = self._path(name)
        head = _head(name, told, shape)
        size = len(head) + STORED.itemsize * int(np.prod(shape, dtype=np.int64)) + CRC.itemsize * shape[0]
        part = path.with_name(f"{name}.{os.urandom(8).hex()}.part")
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            with self._begun(part, size) as file:
                if file is None:
                    return None
                _write(file, head, shape, blocks)
                part.replace(path)
        except OSError:
            return None
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
        return self.get(name)

    def drop(self, name: str) -> None:
        """Remove what stands under a name."""
        self._forget(name)
        with suppress(OSError):
            self._path(name).unlink(missing_ok=True)

    def make_room(self, size: int) -> bool:
        """Remove the least recently used until `size` bytes more fit; whether they do."""
        with self._alone():
            return self._room(size)

    def _forget(self, name: str) -> None:
        with self._lock:
            self._open.pop(name, None)

    @contextmanager
    def _begun(self, part: Path, size: int) -> Iterator[BinaryIO | None]:
        """A file that has its room on disk already, and a lock that lasts as long as its writer; None for no room."""
        with self._alone():
            if not self._room(size):
                yield None
                return
            file = part.open("xb")
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError:
                file.close()
                raise
        with file:
            yield file

    def _room(self, size: int) -> bool:
        for part in self.folder.glob(PARTS):
            _remove_orphan(part)
        found = sorted(_files(self.folder), reverse=True)
        total = sum(taken for _, taken, _ in found)
        while total + size > self.most_bytes and found:
            _, taken, path = found.pop()
            if path.suffix == ".view":
                with suppress(OSError):
                    path.unlink(missing_ok=True)
                total -= taken
        return total + size <= self.most_bytes

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process and thread at a time looks through the folder."""
        with (self.folder / ".lock").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _path(self, name: str) -> Path:
        assert NAME.fullmatch(name)
        return self.folder / name[:2] / f"{name}.view"


def _files(folder: Path) -> Iterator[tuple[int, int, Path]]:
    """When each file was last used, its bytes, its path."""
    for pattern in (FILES, PARTS):
        for path in folder.glob(pattern):
            with suppress(OSError):  # another process may have taken it
                stat = path.stat()
                yield stat.st_mtime_ns, stat.st_size, path


def _remove_orphan(part: Path) -> None:
    """Remove a half-written file that no process writes any more."""
    with suppress(OSError), part.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        part.unlink(missing_ok=True)


def _head(name: str, told: Mapping[str, Any], shape: tuple[int, ...]) -> bytes:
    said = orjson.dumps({"name": name, "told": dict(told), "shape": list(shape)})
    padded = said.ljust(-(-(HEAD.size + len(said)) // ALIGNED) * ALIGNED - HEAD.size)  # JSON ends in blanks
    return HEAD.pack(MAGIC, len(padded), zlib.crc32(padded)) + padded


def _write(file: BinaryIO, head: bytes, shape: tuple[int, ...], blocks: Iterable[Array]) -> None:
    file.write(head)
    crcs = []
    for block in blocks:
        assert block.shape == shape[1:], "every block has the shape that was said"
        stored = np.ascontiguousarray(block, STORED)
        crcs.append(_crc(stored))
        file.write(stored.data.cast("B"))
    assert len(crcs) == shape[0], "as many blocks as were said"
    file.write(np.array(crcs, CRC).tobytes())
    file.flush()


def _opened(path: Path, name: str) -> View | None:
    """The view of a file; None where its head, its name or its length is not what was written."""
    try:
        with path.open("rb") as file:
            magic, length, crc = HEAD.unpack(file.read(HEAD.size))
            said = file.read(length) if magic == MAGIC else b""
            whole = os.fstat(file.fileno())
            if magic != MAGIC or zlib.crc32(said) != crc or (head := orjson.loads(said))["name"] != name:
                return None
            shape = tuple(head["shape"])
            start = HEAD.size + length
            end = start + STORED.itemsize * int(np.prod(shape, dtype=np.int64))
            if whole.st_size != end + CRC.itemsize * shape[0]:
                return None
            crcs = np.fromfile(file, CRC, shape[0], offset=end - start)
            blocks = np.memmap(file, STORED, "r", start, shape)
    except (OSError, struct.error, orjson.JSONDecodeError, KeyError, ValueError):
        return None
    return View(head["told"], blocks, crcs, whole.st_ino)


def _crc(block: Array) -> int:
    return zlib.crc32(block.data.cast("B"))
