"""Keep prepared evidence on disk, and serve it only while its files are what ingest read.

In:  evidence with the content hash that ingest noted, a prep. Out: what that prep makes of it, or made of it before.

First the files are looked at: by stamp (see `sources.contents`; without a folder, by those that ingest noted), with
`verify` by their bytes. Files that hold something else than at ingest are refused, `file.changed`. Then an entry is
looked up by content hash, by what part of the file was meant, by the whole recipe and by the code that reads and
prepares (see `prep.code`): a changed recipe or version has no entry. Rejections are not kept: what failed for want of
memory or of a decoder may do better next time.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from clinic_mm.cohort.load import locate
from clinic_mm.cohort.manifest import INFO_FILE, open_cohort
from clinic_mm.cohort.noted import as_noted
from clinic_mm.cohort.spec import RESERVED_ROOT
from clinic_mm.errors import ClinicError, EvidenceError, InputError
from clinic_mm.prep.base import Prep, Prepared
from clinic_mm.prep.code import code_version
from clinic_mm.signals import Signal
from clinic_mm.sources.contents import Contents, Stamp, stamp
from clinic_mm.sources.kept import Kept
from clinic_mm.sources.place import content_hash
from clinic_mm.types import Evidence, Flag

DEFAULT_GB: Final = 20.0
INGEST_AGAIN: Final = "Run clinic-mm ingest again"
FLAGS: Final = TypeAdapter(tuple[Flag, ...])


class PrepCache:
    """A folder of prepared evidence, at most `most_gb` on disk. Without a folder nothing is kept, only checked.

    Args:
        folder: Made where it is not there.
        most_gb: In 10⁹ bytes.
        verify: Compare the bytes of every file with what ingest noted, whatever the file system says.

    Raises:
        InputError: If the folder cannot be made.
    """

    def __init__(self, folder: Path | None, most_gb: float = DEFAULT_GB, *, verify: bool = False) -> None:
        self.kept = Kept(folder, int(most_gb * 1e9)) if folder else None
        self.contents = Contents(self.kept, verify)
        if self.kept:
            _make(self.kept.folder)
            self.kept.sweep()

    def prepared(
        self, evidence: Evidence, prep: Prep[Signal], roots: Mapping[str, Path], make: Callable[[], Prepared]
    ) -> Prepared:
        """What stands in the cache, or else what `make` makes, which is then kept.

        Raises:
            EvidenceError: `file.changed` where the files are not what ingest read, or change while they are read;
                `file.gone`, `file.outside_root`, `file.unreadable`; with `verify` also `file.no_hash`; and what
                `make` raises.
        """
        if hit := self.known(evidence, prep, roots):
            return hit
        files = locate(evidence, roots)
        seen = stamp(files)
        self._check(evidence, roots, files, seen)
        made = make()
        if stamp(files) != seen:
            raise EvidenceError("file.changed", "The files changed while they were read", prep.kind, INGEST_AGAIN)
        if self.kept and evidence.content_hash and seen.settled:
            self.kept.write(_name(evidence, prep), _bytes(made))
        return made

    def known(self, evidence: Evidence, prep: Prep[Signal], roots: Mapping[str, Path]) -> Prepared | None:
        """What stands in the cache, its files looked at; None where nothing does, and then no file is read.

        Raises:
            EvidenceError: As `prepared`.
        """
        if not (self.kept and evidence.content_hash and (hit := _read(self.kept, _name(evidence, prep)))):
            return None
        files = locate(evidence, roots)
        self._check(evidence, roots, files, stamp(files))
        return hit

    def _check(self, evidence: Evidence, roots: Mapping[str, Path], files: Sequence[Path], seen: Stamp) -> None:
        if evidence.root == RESERVED_ROOT:
            both = stamp([*files, roots[RESERVED_ROOT] / INFO_FILE])
            whole = _table_is_whole(roots[RESERVED_ROOT], files[0], both.digest)
        elif evidence.content_hash:
            whole = self._noted(roots, seen, evidence.content_hash)
            whole = whole or self.contents.hold(files, seen, evidence.content_hash)
        elif self.contents.verify:
            what = "Ingest did not note what these files held"
            raise EvidenceError("file.no_hash", what, evidence.modality, INGEST_AGAIN)
        else:
            return
        if not whole:
            what = "The files are no longer what ingest read"
            raise EvidenceError("file.changed", what, evidence.modality, INGEST_AGAIN)

    def _noted(self, roots: Mapping[str, Path], seen: Stamp, content: str) -> bool:
        """Whether ingest's own note answers for the files; a folder keeps its own."""
        if self.kept or self.contents.verify or RESERVED_ROOT not in roots:
            return False
        return as_noted(roots[RESERVED_ROOT], seen, content)


def open_cache(folder: Path | None, most_gb: float = DEFAULT_GB, *, verify: bool = False) -> PrepCache:
    """What a command's `--cache` and `--verify` ask for; where neither is given, files are checked by their stamps."""
    return PrepCache(folder, most_gb, verify=verify)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        what, mend = "The folder of the cache cannot be made", "Name a folder on a disk that can be written"
        raise InputError(what, str(folder), mend) from None


@lru_cache(maxsize=64)
def _table_is_whole(cohort: Path, table: Path, digest: str) -> bool:
    """Whether the cohort's own table of facts or notes is as ingest wrote it: read once per process and stamps.

    Its evidence is keyed by the hash of its rows, which says nothing of what lies in the table today.
    """
    del digest
    try:
        return open_cohort(cohort).info.files.get(table.name) == content_hash([table])
    except ClinicError:
        return False


def _name(evidence: Evidence, prep: Prep[Signal]) -> str:
    # Readers tell some formats by their name; nothing else of a name comes in.
    suffixes = [PurePosixPath(path).suffix.lower() for path in evidence.paths]
    part = (evidence.content_hash, *suffixes, evidence.locator, str(evidence.until))
    maker = (prep.key, stamp(prep.rests_on).digest, code_version(prep.kind))
    return hashlib.sha256("|".join((*part, *maker)).encode()).hexdigest() + ".prepared"


def _bytes(prepared: Prepared) -> bytes:
    flags = np.frombuffer(FLAGS.dump_json(prepared.flags), dtype=np.uint8)
    arrays = {"x": prepared.x, "plain": prepared.plain, "flags": flags}
    return save({name: np.ascontiguousarray(array) for name, array in arrays.items()})


def _read(kept: Kept, name: str) -> Prepared | None:
    content = kept.read(name)
    try:
        arrays = load(content) if content else {}
        return Prepared(arrays["x"], arrays["plain"], FLAGS.validate_json(arrays["flags"].tobytes()))
    except (SafetensorError, KeyError, ValidationError):  # whole, but nothing that this version writes
        kept.drop(name)
        return None
