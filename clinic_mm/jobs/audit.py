"""Verify the audit of a store from the command line, without writing anything.

In:  the address of a store, the folder of its heads. Out: what `store.verify` found; the newest link as text.
"""

import re
from pathlib import Path
from typing import Final

from clinic_mm.errors import UsageError
from clinic_mm.store.audit import Audit
from clinic_mm.store.chain import newest
from clinic_mm.store.database import opened
from clinic_mm.store.heads import Head
from clinic_mm.store.verify import Verified

HEADS: Final = "heads"
FOUND: Final = 6
"""Exit code where something is not as it was written: that of a damaged model or run."""
TOLD: Final = re.compile(r"(\d{1,9}):([0-9a-f]{64})")


def verify_audit(store: str, heads: Path | None = None, expect: str = "") -> Verified:
    """Verify the audit of a store.

    Args:
        store: Its SQLite file or URL.
        heads: Folder of its heads; `heads` beside an SQLite file where it is not given.
        expect: A head kept elsewhere, as `newest_link` gave it; "" for none.

    Raises:
        UsageError: If the folder must be named, or `expect` cannot be read.
        InputError: If store or folder cannot be used.
        ArtifactError: If it is no store, or damaged.
    """
    head = _head(expect)
    database = opened(store, heads_folder(store, heads), only_read=True)
    try:
        return Audit(database).verify(head)
    finally:
        database.close()


def newest_link(store: str, heads: Path | None = None) -> Head:
    """The newest link of a store.

    Raises:
        UsageError: If the folder of the heads must be named.
        InputError: If store or folder cannot be used.
        ArtifactError: If it is no store, or damaged.
    """
    database = opened(store, heads_folder(store, heads), only_read=True)
    try:
        with database.reading() as session:
            return newest(session)
    finally:
        database.close()


def in_words(found: Verified) -> str:
    """For a person: what was found, or that all is as it was written."""
    stands = f"{found.links} links, {found.heads} signed heads; the newest link is {found.number}:{found.hash}"
    if found.whole:
        return f"The audit is whole: {stands}"
    lines = [f"{one.code}  {one.where}: {one.what}" for one in found.findings]
    n = f"{len(lines)} finding{'s' * (len(lines) != 1)}"
    return "\n".join([f"The audit is NOT whole: {n}. {stands}", *lines])


def heads_folder(store: str, heads: Path | None) -> Path:
    """The folder of the heads of a store: as named, or `heads` beside an SQLite file.

    Raises:
        UsageError: If it must be named.
    """
    if heads is not None:
        return heads
    path = store.removeprefix("sqlite:///")
    if "://" in path:
        raise UsageError("The folder of the heads is not named", "--heads", "Add --heads FOLDER")
    return Path(path).parent / HEADS


def _head(expect: str) -> Head | None:
    if not expect:
        return None
    found = TOLD.fullmatch(expect.strip())
    if found is None:
        raise UsageError("This is no link", "--expect", "Give it as clinic-mm audit heads printed it: NUMBER:HASH")
    return Head(int(found[1]), found[2])
