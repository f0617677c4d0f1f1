"""The figure of `fairness`: AUROC, sensitivity, calibration of each group; what is withheld is grey, with its reason.

In:  the frame of `fairness`. Out: one PNG.
"""

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy import ndarray as Array

from clinic_mm.evaluate.figures import COLOURS, DPI

PANELS: Final = ("AUROC", "sensitivity above the base rate", "mean probability − observed")
WIDTH_IN: Final = 10.5


def draw(table: pd.DataFrame, path: Path, *, simulated: bool = False) -> None:
    """One line per group, one panel per figure, with 95 % intervals by patient."""
    heads = table.drop_duplicates(["attribute", "group"]).reset_index(drop=True)
    figure = Figure(figsize=(WIDTH_IN, 1.6 + 0.34 * max(len(heads), 3)), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(PANELS), sharey=True)
    y = np.arange(len(heads))[::-1]
    for axes, name in zip(panels, PANELS, strict=True):
        _panel(axes, name, table, heads, y)
    shown = heads["withheld"] == ""
    names = [
        f"{a}: {g}  (n {n})" for a, g, n in zip(heads["attribute"], heads["group"], heads["n_patients"], strict=True)
    ]
    panels[0].set_yticks(y, names, fontsize=8)
    for tick, kept in zip(panels[0].get_yticklabels(), shown, strict=True):
        tick.set_color("black" if kept else "0.55")
    told = "SIMULATED, not patients. " if simulated else ""
    figure.suptitle(
        f"{told}By group, with 95 % intervals by patient; grey: withheld, for the reason given", fontsize=10
    )
    figure.savefig(path)


def _panel(axes: Axes, name: str, table: pd.DataFrame, heads: pd.DataFrame, y: Array) -> None:
    mine = {(row["attribute"], row["group"]): row for _, row in table[table["figure"] == name].iterrows()}
    for place, (_, head) in zip(y.tolist(), heads.iterrows(), strict=True):
        if head["withheld"]:
            told = str(head["withheld"]) if name == PANELS[0] else ""
            axes.text(0.02, place, told, transform=axes.get_yaxis_transform(), color="0.55", fontsize=7, va="center")
        elif (one := mine.get((head["attribute"], head["group"]))) is not None:
            axes.hlines(place, one["low"], one["high"], color=COLOURS[0], linewidth=1.5)
            axes.plot(one["value"], place, "o", color=COLOURS[0], markersize=4)
    axes.axvline(0.0 if "−" in name else 0.5, color="0.8", linewidth=1)
    axes.set_xlabel(name, fontsize=9)
    axes.set_ylim(-0.7, len(heads) - 0.3)
    axes.grid(axis="x", color="0.92")
