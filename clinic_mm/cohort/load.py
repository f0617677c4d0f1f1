"""Decode one piece of evidence: from a named root and relative paths to a signal.

In:  an `Evidence`, the folder of each root, and the row of the modality table that reads it.
Out: a `Signal`. Nothing outside the root is opened, whatever the manifest says.
"""

import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from clinic_mm.cohort.spec import NO_FILES
from clinic_mm.errors import EvidenceError, InputError
from clinic_mm.modalities import modality, resolve
from clinic_mm.signals import Signal
from clinic_mm.types import Evidence

MOVED = "Were the files moved? Run clinic-mm ingest again"
NEVER_MADE = "This cohort was simulated without files: simulate one with files to read any"


def load_evidence(evidence: Evidence, roots: Mapping[str, Path], kind: str | None = None) -> Signal:
    """Decode one piece of evidence.

    Args:
        evidence: What stands in a case.
        roots: Folder of each root, as `Cohort.roots`.
        kind: Row of the modality table; the evidence's own modality where None.

    Raises:
        EvidenceError: If a file is gone, lies outside its root, or cannot be decoded. It names the modality, no path.
        InputError: If the root is not known.
    """
    kind = kind or evidence.modality
    files = locate(evidence, roots)
    try:
        signal: Signal = resolve(modality(kind).load)(files, locator=evidence.locator, until=evidence.until)
    except EvidenceError as error:
        raise error.at(kind) from None
    return signal


def locate(evidence: Evidence, roots: Mapping[str, Path]) -> tuple[Path, ...]:
    """The files of a piece of evidence, each checked to lie inside its root.

    Raises:
        EvidenceError: If one does not, or is gone.
        InputError: If the root is not known.
    """
    if evidence.root not in roots:
        known = ", ".join(sorted(roots))
        raise InputError(f"Unknown root {evidence.root!r}", evidence.modality, f"Roots of this cohort: {known}")
    root = roots[evidence.root]
    inside = root.resolve()
    folders: dict[Path, bool] = {}  # hundreds of slices lie in one folder, which is resolved once
    return tuple(_inside(root, relative, inside, folders, evidence.modality) for relative in evidence.paths)


def _inside(root: Path, relative: str, inside: Path, folders: dict[Path, bool], place: str) -> Path:
    pure = PurePosixPath(relative)
    path = root / pure
    if pure.is_absolute() or ".." in pure.parts:
        raise _outside(place)
    try:
        mode = path.lstat().st_mode
    except OSError:
        raise _gone(root, pure, place) from None
    folder = path if stat.S_ISLNK(mode) else path.parent
    if folder not in folders:
        folders[folder] = folder.resolve().is_relative_to(inside)
    if not folders[folder]:
        raise _outside(place)
    if not (stat.S_ISREG(mode) or path.is_file()):
        raise _gone(root, pure, place)
    return path


def _gone(root: Path, relative: PurePosixPath, place: str) -> EvidenceError:
    if NO_FILES in (root.name, relative.parts[0]):
        return EvidenceError("file.gone", "A file of this evidence was never made", place, NEVER_MADE)
    return EvidenceError("file.gone", "A file of this evidence is no longer there", place, MOVED)


def _outside(place: str) -> EvidenceError:
    return EvidenceError("file.outside_root", "A path leads out of its root", place, "Run clinic-mm ingest again")
