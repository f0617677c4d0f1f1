"""The signed head of the audit chain, kept outside the database, and the key that signs it.

    HEADS/key           32 random bytes, readable by the owner alone (0600); made on first use
    HEADS/heads.jsonl   one line per commit: number and hash of the newest link, and its HMAC-SHA256 (RFC 2104)

In:  a folder, hashes. Out: MACs; heads. Whoever may write the database but not read the key can add no link, and
whoever may not write this folder cannot hide that the newest links are gone.
"""

import fcntl
import hmac
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from clinic_mm.errors import InputError

KEY: Final = "key"
FILE: Final = "heads.jsonl"
KEY_BYTES: Final = 32
TAIL_BYTES: Final = 65_536
READABLE_BY_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
FIRST: Final = "0" * 64
"""What stands before the first link."""


class Head(NamedTuple):
    """The newest link when a commit was done."""

    number: int
    hash: str


class Heads:
    """The folder of key and heads, made on first use unless the audit is only to be verified (`make`).

    Raises:
        InputError: If it cannot be used, or the key is readable by others or too short.
    """

    def __init__(self, folder: Path, *, make: bool = True) -> None:
        self.folder = folder.expanduser()
        try:
            if make:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                _make(self.folder / KEY)
            self._key = _read(self.folder / KEY)
        except OSError as error:
            what = f"The folder of audit heads cannot be used: {error.strerror}"
            raise InputError(what, str(self.folder), "Check the path and its permissions") from error

    def mac(self, of: str) -> str:
        """HMAC-SHA256 of a text, hexadecimal."""
        return hmac.digest(self._key, of.encode(), "sha256").hex()

    def answer_mac(self, case_key: str, sha256: str) -> str:
        """That an answer is one that we imported for this case."""
        return self.mac(f"answer:{case_key}:{sha256}")

    def genuine(self, of: str, mac: str) -> bool:
        """Whether a MAC is ours."""
        return hmac.compare_digest(self.mac(of), mac)

    def append(self, head: Head) -> None:
        """Sign and keep a head; it outlives a power cut.

        Raises:
            InputError: If it cannot be written.
        """
        line = json.dumps({"number": head.number, "hash": head.hash, "mac": self.mac(_told(head))}) + "\n"
        try:
            handle = os.open(self.folder / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                os.write(handle, line.encode())
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            what = f"The audit head cannot be written: {error.strerror}"
            raise InputError(what, str(self.folder), "Make room on its disk, or allow writing") from error

    def all(self) -> Iterator[Head | None]:
        """Every head in the order it was written; None for a line that is not ours."""
        path = self.folder / FILE
        if not path.is_file():
            return
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                yield self._parsed(line)

    def last(self) -> Head | None:
        """The newest genuine head: among the last lines, since heads are written nearly in order."""
        path = self.folder / FILE
        if not path.is_file():
            return None
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
        return max((head for head in map(self._parsed, lines) if head), default=None)

    def _parsed(self, line: str) -> Head | None:
        try:
            given = json.loads(line)
            head, mac = Head(int(given["number"]), str(given["hash"])), str(given["mac"])
        except (ValueError, KeyError, TypeError):
            return None
        return head if self.genuine(_told(head), mac) else None


def _told(head: Head) -> str:
    return f"head:{head.number}:{head.hash}"


def _make(path: Path) -> None:
    """A new key, whole or not there: another process may be about to read it."""
    if path.exists():
        return
    temp = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    with os.fdopen(os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):  # another process was quicker; its key is as good
        os.link(temp, path)
    temp.unlink()


def _read(path: Path) -> bytes:
    if path.stat().st_mode & READABLE_BY_OTHERS:
        raise InputError("Others can read the key of the audit", str(path), f"Run: chmod 600 {path}")
    key = path.read_bytes()
    if len(key) < KEY_BYTES:
        mend = "Restore it from your backup: without it nobody can tell a genuine audit from another"
        raise InputError(f"The key of the audit is shorter than {KEY_BYTES} bytes", str(path), mend)
    return key
