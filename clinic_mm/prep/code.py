"""Say which code prepares evidence, so that nothing made by other code is taken for its work.

In:  a kind of evidence. Out: a hash over the text of all that reads and prepares it, and the versions of libraries.

Nobody has to remember to raise a number: a changed reader, prep or policy table has another hash. That a changed
comment has one too costs one preparing; a forgotten number would cost a wrong tensor that nobody sees.
"""

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from clinic_mm.bundle import PACKAGE, folder
from clinic_mm.modalities import modality

CODE: Final = (
    "bundle.py",
    "errors.py",
    "extras.py",
    "modalities.py",
    "signals.py",
    "task.py",
    "times.py",
    "toml_file.py",
    "types.py",
    "cohort/load.py",
    "prep/*.py",
    "sources/**/*.py",
)
"""All that `sources` and `prep` stand on; a test follows their imports and finds what is left out."""
POLICIES: Final = "*.toml"
LIBRARIES: Final = (
    "highdicom",
    "imagecodecs",
    "mne",
    "nibabel",
    "numpy",
    "orjson",
    "pandas",
    "pillow",
    "pyarrow",
    "pydicom",
    "pyjpegls",
    "pylibjpeg",
    "pylibjpeg-libjpeg",
    "pylibjpeg-openjpeg",
    "pylibjpeg-rle",
    "scikit-learn",
    "scipy",
    "torch",
    "transformers",
)
"""Whose work is in the tensors. One that is not installed counts as such."""


@cache
def code_version(kind: str) -> str:
    """SHA-256 over what reads and prepares a kind of evidence: once per process, some milliseconds.

    Args:
        kind: Row of the modality table; the packages that a foreign row names are part of it.
    """
    total = hashlib.sha256()
    for name, text in (*_ours(), *_foreign(kind), *((name, _version(name).encode()) for name in LIBRARIES)):
        total.update(f"{name} {len(text)}\n".encode() + text)
    return total.hexdigest()


@cache
def _ours() -> tuple[tuple[str, bytes], ...]:
    files = {path for pattern in CODE for path in PACKAGE.glob(pattern)} | set(folder("schemas").glob(POLICIES))
    return tuple((path.name, path.read_bytes()) for path in sorted(files))


def _foreign(kind: str) -> Iterator[tuple[str, bytes]]:
    """The Python of the packages that a row names and that are not ours, whole: what they import of themselves too."""
    row = modality(kind)
    for name in sorted(
        {dotted.partition(":")[0].partition(".")[0] for dotted in (row.load, row.prep)} - {PACKAGE.name}
    ):
        found = find_spec(name)
        if found is None:
            continue
        if found.submodule_search_locations:
            files = sorted({path for place in found.submodule_search_locations for path in Path(place).rglob("*.py")})
        else:
            files = [Path(found.origin)] if found.origin else []
        for path in files:
            yield path.name, path.read_bytes()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
