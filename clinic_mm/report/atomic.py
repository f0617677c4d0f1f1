"""Write files so that each is either whole or not there: temp → fsync → rename → fsync of the folder.

In:  paths and their bytes. Out: the files. A kill leaves at most temp files, whose names start with a dot.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

TEMP = ".*.tmp"
"""What the temp files of a killed process are called."""


def written_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path`, replacing what is there in one step; makes the folder."""
    all_written_whole({path: content})


def all_written_whole(files: Mapping[Path, bytes]) -> None:
    """Write many files, each whole or not at all; each folder is synchronised once, at the end."""
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        temp = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            _written(temp, content)
            temp.replace(path)
        except OSError:
            with suppress(OSError):  # the disk is full: what was begun is not to stay there
                temp.unlink(missing_ok=True)
            raise
    for folder in dict.fromkeys(path.parent for path in files):
        synchronised(folder)


@contextmanager
def whole_text(path: Path) -> Iterator[TextIO]:
    """A text file to be written line by line; it is there when all of it is written, or not at all."""
    temp = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temp.open("w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temp.replace(path)
    except BaseException:
        with suppress(OSError):
            temp.unlink(missing_ok=True)
        raise
    synchronised(path.parent)


def synchronised(folder: Path) -> None:
    """Let the names in a folder outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _written(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
