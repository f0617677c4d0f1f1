"""Know whether ingesting again would find what it found before, without reading a file.

In:  the ingest file, the key, everything that lies below the sources. Out: one hash of it all, kept in the cohort
folder as `ingested.json`: while it is the same, and the cohort is whole, there is nothing to do.

Part of it are the stamps of all files (see `sources.contents`), which of them are links, the ingest file as it was
understood, the key, this program and the installed libraries. Nobody gets from the hash to a path, a patient or the
key. It says yes or no for the cohort as a whole: one new file, and all are read.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from clinic_mm.bundle import PACKAGE, folder
from clinic_mm.cohort.gather import files_of
from clinic_mm.cohort.manifest import Cohort, open_cohort
from clinic_mm.cohort.spec import CohortSpec
from clinic_mm.errors import EvidenceError, InputError
from clinic_mm.sources.contents import stamp
from clinic_mm.types import Evidence, Finding, Frozen, Rejected

FILE: Final = "ingested.json"
CODE: Final = ("*.py", "cohort/*.py", "sources/**/*.py")
"""All that ingest reads and joins with."""


class Ingested(Frozen):
    """What `ingested.json` says: what was ingested, and the content hash of the cohort that came of it."""

    from_hash: str
    content_hash: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What lies below the sources, by what the file system says of it.

    Attributes:
        digest: One hash of it, and of all else that ingest rests on; "" where a file has just vanished.
        settled: Whether any later change must show in it.
        files: Everything whose stamp is part of it.
    """

    digest: str
    settled: bool
    files: frozenset[str] = field(repr=False, compare=False)

    def covers(self, roots: Mapping[str, str], findings: Iterable[Finding]) -> bool:
        """Whether findings are of these files alone: a list may name others, hidden ones or links that lead away."""
        named = (one for one in findings if isinstance(one, Evidence | Rejected) and one.root in roots)
        return all(f"{roots[one.root]}/{path}" in self.files for one in named for path in one.paths)


def look_at(spec: CohortSpec, base: Path, skip: frozenset[Path], told: Iterable[Path], key: bytes) -> Seen:
    """What there is to ingest; no file is opened.

    Args:
        spec: The ingest file as it was understood.
        base: The folder that its paths start from.
        skip: Files and folders that are no evidence.
        told: Those of them that say what evidence is: the ingest file, labels, mappings.
        key: Of the pseudonyms.

    Raises:
        TaskError: If there is nothing at the path of a source.
    """
    files: list[Path] = []
    left_out: list[Path] = []
    for source in spec.source:
        files += files_of(source, base, skip, left_out)[1]
    every = [*files, *(path for path in (*left_out, *sorted(told)) if path.is_file())]  # a list may name a link
    names = frozenset(str(path) for path in (*files, *left_out))
    try:
        seen = stamp(every)
    except EvidenceError:
        return Seen("", settled=False, files=names)
    links = "\n".join(str(path) for path in left_out)
    text = f"{seen.digest}\n{spec.model_dump_json()}\n{_program()}\n{links}"
    return Seen(hmac.digest(key, text.encode(errors="surrogateescape"), "sha256").hex(), seen.settled, names)


def unchanged(out: Path, now: Seen) -> Cohort | None:
    """The cohort that stands there, if ingesting again would write the same; else None."""
    try:
        before = Ingested.model_validate_json((out / FILE).read_bytes())
        if before.from_hash != now.digest:
            return None
        cohort = open_cohort(out)
    except (OSError, ValidationError, InputError):
        return None
    return None if cohort.damaged() or cohort.info.content_hash != before.content_hash else cohort


def note(cohort: Cohort, before: Seen, after: Seen) -> None:
    """Note what a cohort came of; not where a file changed meanwhile, or so late that another change might not show."""
    if before != after or not before.settled:
        return
    path = cohort.path / FILE
    part = path.with_name(path.name + ".part")
    told = Ingested(from_hash=before.digest, content_hash=cohort.info.content_hash)
    part.write_text(told.model_dump_json() + "\n", encoding="utf-8")
    part.replace(path)


@cache
def _program() -> str:
    total = hashlib.sha256()
    files = {path for pattern in CODE for path in PACKAGE.glob(pattern)} | set(folder("schemas").glob("*.toml"))
    for path in sorted(files):
        total.update(f"{path.name}\n".encode() + path.read_bytes())
    total.update("\n".join(sorted(f"{one.name} {one.version}" for one in distributions())).encode())
    return total.hexdigest()
