"""A folder that is whole or none: its files, and a manifest with the sha256 of each, whose own hash names the whole.

In:  the content of each file by name. Out: the folder; and back, every byte checked. An unknown major version is
refused.
"""

import hashlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

import orjson

from clinic_mm.errors import ArtifactError
from clinic_mm.types import SCHEMA_VERSION

MANIFEST: Final = "manifest.json"
MARK: Final = ".being_written"
STYLE: Final = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2


def write_sealed(folder: Path, files: Mapping[str, bytes], *, patient_derived: Collection[str] = ()) -> str:
    """Write the files, the manifest last, so that half a folder is none; what an earlier one had beside goes.

    All are written under other names first: a full disk leaves an earlier folder as it was. A kill while they take
    their names leaves no manifest, or the new one, and a mark by which the next call knows the folder as its own.

    Args:
        folder: New, empty, or sealed earlier.
        files: Content by name.
        patient_derived: Names of files that hold what training patients had; the rest works without them.

    Returns:
        The hash of the whole.

    Raises:
        ArtifactError: If the folder holds something else.
    """
    check_free(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    derived = {"patient_derived": sorted(patient_derived)} if patient_derived else {}
    told = {"schema_version": SCHEMA_VERSION, "files": hashes, **derived}
    manifest = orjson.dumps(told, option=STYLE)
    staged = {name: _staged(folder, name, content) for name, content in {**files, MANIFEST: manifest}.items()}
    (folder / MANIFEST).unlink(missing_ok=True)
    for old in folder.glob("*.safetensors"):
        old.unlink()
    for name, temp in staged.items():
        temp.replace(folder / name)
    _synchronised(folder)
    (folder / MARK).unlink()
    return hashlib.sha256(manifest).hexdigest()


def _staged(folder: Path, name: str, content: bytes) -> Path:
    """The content on disk under another name; what was begun goes again where the disk is full."""
    temp = folder / f".{name}.tmp"
    try:
        with temp.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        for half in folder.glob(".*.tmp"):
            half.unlink()
        raise
    return temp


def _synchronised(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_free(folder: Path) -> None:
    """A sealed folder may be written to a new or empty folder, or over an earlier one.

    Raises:
        ArtifactError: If the folder holds anything else, or is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise ArtifactError("This is a file, not a folder", str(folder), "Name a new or empty folder")
    ours = (folder / MANIFEST).is_file() or (folder / MARK).is_file()
    if folder.exists() and any(folder.iterdir()) and not ours:
        raise ArtifactError("The folder holds something else", str(folder), "Name a new or empty folder")


def read_sealed(folder: Path, leading: str, made_by: str) -> tuple[dict[str, bytes], str]:
    """Read and check every file.

    Args:
        folder: What `write_sealed` wrote.
        leading: The file that says what kind of folder it is, such as `model.json`.
        made_by: The command that writes such folders, for the mend.

    Returns:
        Content by name, without patient-derived files that were taken out on purpose (all of one stem are gone),
        and the hash of the whole.

    Raises:
        ArtifactError: If it is no such folder, of an unknown version, or a file is not what was written.
    """
    kind = leading.removesuffix(".json")
    try:
        raw = (folder / MANIFEST).read_bytes()
        manifest = orjson.loads(raw)
        version, hashes = str(manifest["schema_version"]), dict(manifest["files"])
        derived = {str(name) for name in manifest.get("patient_derived", ())}
        hashes[leading]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        mend = f"Name the folder that {made_by} wrote"
        raise ArtifactError(f"This is not a {kind} folder", str(folder), mend) from None
    if version.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
        mend = f"This clinic_mm reads version {SCHEMA_VERSION}; run {made_by} again"
        raise ArtifactError(f"The {kind} is of the unknown version {version}", str(folder), mend)
    # Files of one stem (bank.json, bank.safetensors) are one thing: half of it is damage, none of it a choice.
    there = {Path(name).stem for name in derived if (folder / Path(name).name).exists()}
    taken_out = {name for name in derived if Path(name).stem not in there}
    files = {}
    for name in hashes.keys() - taken_out:
        path = folder / Path(name).name
        content = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(content).hexdigest() != hashes[name]:
            mend = f"Copy the folder again, or run {made_by} again"
            raise ArtifactError(f"{name} is not what was written", str(folder), mend)
        files[name] = content
    return files, hashlib.sha256(raw).hexdigest()
