import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import clinic_mm
from clinic_mm.bundle import folder

FILES = sorted(folder("dashboards").rglob("*.py"))
NEVER = {"encoders", "fusion", "colearning", "predict", "training", "jobs", "simulate"}
LEDGERS = "clinic_mm.jobs.operating"
READERS = (LEDGERS, "clinic_mm.jobs.spec", "clinic_mm.jobs.taking_in")
"""What operators are shown: it reads ledgers and what a run was asked, and runs nothing."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_page_can_never_run_a_model_or_write_markup(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    ours = {module for module in modules if module.startswith("clinic_mm.") and not module.startswith(READERS)}
    assert not {module.split(".")[1] for module in ours} & NEVER
    assert "torch" not in {module.split(".")[0] for module in modules}
    assert "unsafe_allow_html" not in path.read_text(encoding="utf-8")


def test_reading_ledgers_loads_no_network() -> None:
    names = sorted(path.stem for path in (Path(clinic_mm.__file__).parent / "jobs" / "operating").glob("[a-z]*.py"))
    asked = "".join(f"import {name};" for name in (*READERS, *(f"{LEDGERS}.{name}" for name in names)))
    subprocess.run([sys.executable, "-c", f"{asked}import sys; assert 'torch' not in sys.modules"], check=True)  # noqa: S603 - our own


def test_streamlit_sends_nothing_and_listens_to_this_machine_only() -> None:
    config = tomllib.loads((folder("dashboards") / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert config["browser"]["gatherUsageStats"] is False
    assert config["server"]["address"] == "127.0.0.1"
    assert config["client"]["showErrorDetails"] == "none"
