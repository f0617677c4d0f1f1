"""Where evidence lies, what its bytes are, and how a fault of it is told.

In:  files below a root, an error. Out: relative paths, a content hash, a `Rejected`.

Nothing here reads more of a file than its bytes.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from clinic_mm.errors import EvidenceError
from clinic_mm.types import Rejected


def relative(root: Path, files: Sequence[Path]) -> tuple[str, ...]:
    """POSIX paths below the root.

    Raises:
        EvidenceError: `file.name` where a name is not text, so that no manifest could hold it.
    """
    paths = tuple(file.relative_to(root).as_posix() for file in files)
    if any(path != _printable(path) for path in paths):
        raise EvidenceError("file.name", "The name of the file is not readable text", "", "Rename the file")
    return paths


def content_hash(files: Sequence[Path]) -> str:
    """SHA-256 over the bytes of all files, one after another.

    Raises:
        EvidenceError: `file.unreadable` where one cannot be read.
    """
    sha = hashlib.sha256()
    try:
        for path in files:
            with path.open("rb") as file:
                while block := file.read(2**20):
                    sha.update(block)
    except OSError:
        raise EvidenceError("file.unreadable", "The file cannot be read", "", "Check its permissions") from None
    return sha.hexdigest()


def rejected(
    fault: EvidenceError,
    modality: str,
    root_name: str,
    root: Path,
    files: Sequence[Path],
    acquired_at: datetime | None = None,
) -> Rejected:
    """The fault as a finding, with the files it concerns."""
    why = f"{fault.what} [{fault.where}]" if fault.where else fault.what
    paths = tuple(_printable(file.relative_to(root).as_posix()) for file in files)
    return Rejected(
        modality=modality,
        code=fault.code,
        why=why,
        mend=fault.mend,
        root=root_name,
        paths=paths,
        acquired_at=acquired_at,
    )


def _printable(path: str) -> str:
    return path.encode("utf-8", "backslashreplace").decode()
