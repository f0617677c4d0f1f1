"""Every figure is drawn, without pyplot, for ordinary tables and for thin ones."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from clinic_mm.evaluate import figures
from clinic_mm.evaluate.missingness import curve
from clinic_mm.evaluate.table import by_pattern, fusion_gain
from tests.evaluate.frames import answers


def _drawn(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("L"))


@pytest.mark.parametrize("n", [240, 12])
def test_tables_are_drawn(n: int, tmp_path: Path) -> None:
    frame = answers(n)
    figures.auc_per_pattern(by_pattern(frame, n=20, limits={"ct": 0.76}), tmp_path / "new" / "auc.png", simulated=True)
    figures.gain(fusion_gain(frame, n=20), tmp_path / "gain.png")
    p, y = frame[["p_0", "p_1"]].to_numpy(), frame["label"].to_numpy()
    figures.reliability(p, y, tmp_path / "calibration.png", n_patients=n // 2)
    lines = pd.concat([curve({0.0: p, 0.5: p}, y, np.arange(len(y)), method=m, n=20) for m in ("a", "b")])
    figures.missing_curve(lines, tmp_path / "curve.png", dropped="parameters", references=lines.assign(value=0.7))
    for path in (tmp_path / "new" / "auc.png", *(tmp_path / f"{k}.png" for k in ("gain", "calibration", "curve"))):
        assert (_drawn(path) < 128).mean() > 0.001


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    gains = fusion_gain(answers(), n=20)
    for name in ("a.png", "b.png"):
        figures.gain(gains, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_pyplot_is_not_loaded() -> None:
    code = "import sys, clinic_mm.evaluate.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603 - our own words
