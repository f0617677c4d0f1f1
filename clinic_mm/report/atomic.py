"""Write a file so that it is either whole or not there: temp → fsync → rename → fsync of the folder.

In:  a path and its bytes. Out: the file. A kill leaves at most a temp file, whose name starts with a dot.
"""

import os
from pathlib import Path


def written_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path`, replacing what is there in one step; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temp = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temp.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temp.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
