"""What prepares evidence is known by its text: nothing that readers and preps stand on is left out."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clinic_mm.bundle import PACKAGE, folder
from clinic_mm.modalities import table
from clinic_mm.prep import code
from clinic_mm.prep.code import code_version

HASHED = sorted({path for pattern in code.CODE for path in PACKAGE.glob(pattern)})
NOT_READING = {"cohort/choose.py", "cohort/manifest.py", "cohort/noted.py", "cohort/spec.py", "worker_process.py"}
"""They choose evidence, look at the cohort's own tables and at stamps, and begin workers; none reads evidence."""


def _imported(path: Path) -> Iterator[Path]:
    """Modules of ours that a module imports, at its top or inside of a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("clinic_mm"):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("clinic_mm")]
        else:
            continue
        for name in names:
            file = PACKAGE.parent.joinpath(*name.split(".")).with_suffix(".py")
            if file.is_file():
                yield file


def test_everything_that_reads_and_prepares_is_part_of_the_version() -> None:
    assert len(HASHED) > 40
    left_out = {module for path in HASHED for module in _imported(path)} - set(HASHED)
    assert {path.relative_to(PACKAGE).as_posix() for path in left_out} <= NOT_READING


def test_libraries_that_read_and_prepare_are_part_of_the_version() -> None:
    ours = {node for path in HASHED for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))}
    names = {n.module.split(".")[0] for n in ours if isinstance(n, ast.ImportFrom) and n.module}
    names |= {alias.name.split(".")[0] for n in ours if isinstance(n, ast.Import) for alias in n.names}
    said = {
        "pillow": "PIL",
        "pyjpegls": "jpeg_ls",
        "pylibjpeg-openjpeg": "openjpeg",
        "pylibjpeg-rle": "rle",
        "scikit-learn": "sklearn",
    }
    known = {said.get(name, name) for name in code.LIBRARIES}
    no_numbers = {"clinic_mm", "jaxtyping", "pydantic", "safetensors", "threadpoolctl", "typing_extensions"}
    assert names - set(sys.stdlib_module_names) - no_numbers <= known


@pytest.mark.parametrize("changed", ["reader", "policy", "library"])
def test_a_changed_reader_policy_or_library_is_another_version(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, schemas = tmp_path / "clinic_mm", tmp_path / "schemas"
    for path in (*HASHED, *folder("schemas").glob("*.toml")):
        copy = tmp_path / path.relative_to(PACKAGE.parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    monkeypatch.setattr(code, "PACKAGE", package)
    monkeypatch.setattr(code, "folder", lambda _: schemas)

    def fresh() -> str:
        code._ours.cache_clear()
        return code_version.__wrapped__("ct")

    before = fresh()
    assert fresh() == before
    if changed == "library":
        monkeypatch.setattr(code, "version", lambda _: "0")
    else:
        file = {"reader": package / "sources" / "ct" / "series.py", "policy": schemas / "eeg_channels.toml"}[changed]
        file.write_text(file.read_text() + "\n# changed\n")
    assert fresh() != before
    code._ours.cache_clear()


def test_all_kinds_have_a_version_quickly() -> None:
    assert {len(code_version(kind)) for kind in table()} == {64}
