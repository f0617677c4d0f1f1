import ast
import tomllib
from pathlib import Path

import pytest

from clinic_mm.bundle import folder

FILES = sorted(folder("dashboards").rglob("*.py"))
NEVER = {"encoders", "fusion", "colearning", "predict", "training", "jobs", "simulate"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_page_can_never_run_a_model_or_write_markup(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    rooms = {module.split(".")[1] for module in modules if module.startswith("clinic_mm.")}
    assert not rooms & NEVER
    assert "torch" not in {module.split(".")[0] for module in modules}
    assert "unsafe_allow_html" not in path.read_text(encoding="utf-8")


def test_streamlit_sends_nothing_and_listens_to_this_machine_only() -> None:
    config = tomllib.loads((folder("dashboards") / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert config["browser"]["gatherUsageStats"] is False
    assert config["server"]["address"] == "127.0.0.1"
    assert config["client"]["showErrorDetails"] == "none"
