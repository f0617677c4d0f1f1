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
    folders = {path.parent: None for path in files}
    for path, content in files.items():
        folders |= dict.fromkeys(_made(path.parent))
        temp = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            _written(temp, content)
            temp.replace(path)
        except OSError:
            with suppress(OSError):  # the disk is full: what was begun is not to stay there
                temp.unlink(missing_ok=True)
            raise
    for folder in folders:
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


def folder_made(folder: Path) -> None:
    """Make a folder, and those it lies in, so that they outlive a power cut."""
    for parent in _made(folder):
        synchronised(parent)


def synchronised(folder: Path) -> None:
    """Let the names in a folder outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _made(folder: Path) -> list[Path]:
    """Make a folder; which folders have a new name in them now, for without its name a folder is lost."""
    new = []
    while not folder.exists():
        new.append(folder)
        folder = folder.parent
    for one in reversed(new):
        one.mkdir(exist_ok=True)
    return [one.parent for one in new]


def _written(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
