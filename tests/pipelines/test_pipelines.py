"""Each pipeline writes its page and figures from real files, on a part of them and with few trees."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from clinic_mm.training import crossfit, heads, joint, secondlevel
from clinic_mm.training.crossval import LOSSES

pytestmark = pytest.mark.realdata
FOLDER = Path(__file__).resolve().parents[2] / "pipelines"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ridge with two strengths, no trees: what is fitted has tests of its own."""
    for room, name, value in (
        (crossfit, "TREES_UP_TO", 0),
        (joint, "TREES_UP_TO", 0),
        (heads, "STRENGTHS", (1e-3, 1e-2)),
        (heads, "RIDGE_FOLDS", 2),
        (secondlevel, "FREEDOMS", (0.0, 0.5)),
    ):
        monkeypatch.setattr(room, name, value)


def ran(name: str, data: Path, tmp_path: Path, **instead: object) -> str:
    out, module = tmp_path / "docs", script(name)
    vars(module).update(instead)
    module.main(data=data, out=out, work=tmp_path / "work", quick=True)
    page = (out / f"results_{name}.md").read_text()
    assert "$" not in page
    assert "Not a result" in page
    named = [part.split(")")[0] for part in page.split("](figures/")[1:]]
    assert named
    assert all((out / "figures" / one).stat().st_size > 5_000 for one in named)
    return page


def test_chest_reports_the_shortcut(data: Path, tmp_path: Path) -> None:
    page = ran("chest_icu", data, tmp_path)
    assert "**44\npatients**" in page
    assert "view (AP or PA) alone" in page


def test_psychiatric_leaves_confounders_to_the_audit(data: Path, tmp_path: Path) -> None:
    few = tmp_path / "data"
    (few / "multimodal").mkdir(parents=True)
    people = pd.read_csv(data / "multimodal/psychiatric_eeg.csv")
    people.groupby("diagnosis").head(40).to_csv(few / "multimodal/psychiatric_eeg.csv", index=False)
    page = ran("psychiatric_eeg", few, tmp_path)
    assert "audit: IQ alone" in page


@pytest.mark.long
def test_icu_draws_both_curves(data: Path, tmp_path: Path) -> None:
    few, folder = tmp_path / "data", "tabular/physionet2012"
    (few / folder).mkdir(parents=True)
    pd.read_csv(data / folder / "outcomes_a.csv").head(160).to_csv(few / folder / "outcomes_a.csv", index=False)
    stays = pd.read_parquet(data / folder / "set_a_long.parquet")
    stays[stays["RecordID"].isin(stays["RecordID"].unique()[:160])].to_parquet(few / folder / "set_a_long.parquet")
    page = ran("icu_mortality", few, tmp_path, LOSSES=[loss for loss in LOSSES if loss.rate == 0.9])
    assert page.count("| 90 % |") == 2
