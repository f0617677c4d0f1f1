"""Importing is cheap, and nothing that could run a stranger's code stands anywhere in the package."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import clinic_mm

PACKAGE = Path(clinic_mm.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
HEAVY = ("torch", "monai", "mne", "streamlit", "sklearn", "matplotlib", "pandas", "highdicom", "pydicom")
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "print", "input"}
GOES_OUT = {"training/trackers.py": {"urllib"}}
"""To the address of an MLflow server that the operator names, and nowhere else."""
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "requests", "urllib"}
LIGHT = ["clinic_mm", "clinic_mm.cli", "clinic_mm.task", "clinic_mm.modalities", "clinic_mm.extras", "clinic_mm.types"]


def _loaded_by(module: str) -> tuple[float, set[str]]:
    """Seconds that the import took in a new interpreter, and what it loaded."""
    code = (
        f"import sys, time; start = time.perf_counter(); import {module}; "
        "sys.stdout.write(f'{time.perf_counter() - start} ' + ' '.join(m for m in sys.modules if '.' not in m))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()  # noqa: S603
    return float(said[0]), set(said[1:])


@pytest.mark.parametrize("module", LIGHT)
def test_an_import_that_everyone_pays_loads_nothing_heavy(module: str) -> None:
    _, loaded = _loaded_by(module)
    assert loaded.isdisjoint(HEAVY)


def test_the_driver_of_a_screening_loads_no_networks() -> None:
    _, loaded = _loaded_by("clinic_mm.jobs.screen")
    assert loaded.isdisjoint({"torch", "monai", "sklearn"}), "a second run would wait for them"


def test_importing_the_package_takes_less_than_three_tenths_of_a_second() -> None:
    assert min(_loaded_by("clinic_mm")[0] for _ in range(3)) < 0.3


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_module_unpickles_evaluates_prints_or_goes_out(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            assert name not in FORBIDDEN_CALLS, f"{name} in line {node.lineno}"
            assert name != "torch.load", f"line {node.lineno}"
            assert not (name.endswith("load") and any(k.arg == "allow_pickle" for k in node.keywords))
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = {alias.name for alias in node.names} if isinstance(node, ast.Import) else {node.module or ""}
            roots = {module.partition(".")[0] for module in modules}
            allowed = GOES_OUT.get(path.relative_to(PACKAGE).as_posix(), set())
            assert roots.isdisjoint(FORBIDDEN_MODULES - allowed), f"{roots} in line {node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
