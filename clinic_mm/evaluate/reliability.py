"""Calibration per availability pattern: what was said against what was seen, for native and for masked cases apart.

In:  probabilities, labels, patients and the pattern of each row. Out: frames of bins and of figures, and one diagram.

A masked row is a case answered as if it had less: under MAR or MNAR it is not a native row, so that the two are never
joined. Patterns of too few cases for a diagram are drawn together.
Source: reliability diagrams, DeGroot & Fienberg 1983, doi:10.2307/2987588; what the excess takes out, METHODS §5.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy import ndarray as Array

from clinic_mm.evaluate.bootstrap import interval
from clinic_mm.evaluate.figures import COLOURS, DPI
from clinic_mm.evaluate.metrics import claim, ece, excess_ece
from clinic_mm.predict.interval import clopper_pearson

BINS: Final = 10
ENOUGH: Final = 100
"""Cases from which on a pattern has a diagram of its own."""
MASKED: Final = "masked"
OTHERS: Final = "others"
EVERY: Final = "all"
DRAWS: Final = 200
COLUMNS: Final = 4
CELL_IN: Final = 2.3


@dataclass(frozen=True, slots=True)
class Said:
    """Answers that calibration is judged on.

    Attributes:
        rows: "native", or `MASKED` where cases were answered as if they had less.
        probs: Probabilities of each row.
        labels: Class numbers.
        patients: Patient of each row.
        pattern: What each row was answered from, names joined by "+".
    """

    rows: str
    probs: Float[Array, "n C"]
    labels: Int[Array, " n"]
    patients: Array
    pattern: Array

    def scopes(self) -> Iterator[tuple[str, Bool[Array, " n"]]]:
        """Each pattern with enough cases; of native rows the others together and all, too, where there are any.

        Masked rows are never put together: one case, with one label, stands in many patterns.
        """
        names, count = np.unique(self.pattern, return_counts=True)
        frequent = sorted(names[count >= ENOUGH], key=lambda name: (name.count("+"), name))
        for name in frequent:
            yield str(name), self.pattern == name
        if self.rows == MASKED:
            return
        others = ~np.isin(self.pattern, frequent)
        if frequent and others.any():
            yield OTHERS, others
        yield EVERY, np.ones(len(self.pattern), dtype=bool)


def calibration_table(said: Said, *, draws: int = DRAWS) -> pd.DataFrame:
    """ECE and its excess over a perfect model's, per pattern.

    Returns:
        Columns rows, pattern, n_cases, n_patients, ece, excess_ece, low, high (95 % by patient), mean_said, mean_seen
        (of what calibration is judged on, `metrics.claim`).
    """
    found = []
    for name, mine in said.scopes():
        probs, labels = said.probs[mine], said.labels[mine]
        excess = interval(excess_ece, probs, labels, said.patients[mine], n=draws)
        confidence, top = claim(probs)
        found.append(
            {
                "rows": said.rows,
                "pattern": name,
                "n_cases": int(mine.sum()),
                "n_patients": excess.n_patients,
                "ece": ece(probs, labels),
                "excess_ece": excess.estimate,
                "low": excess.low,
                "high": excess.high,
                "mean_said": float(confidence.mean()),
                "mean_seen": float((labels == top).mean()),
            }
        )
    return pd.DataFrame(found)


def reliability_bins(said: Said) -> pd.DataFrame:
    """What was said and seen in ten bins of the probability, per pattern.

    Returns:
        Columns rows, pattern, bin (0 to 9), n_cases, said, seen, low, high (95 %, Clopper-Pearson by patient: each
        counts once, with the share of its cases); used bins only.
    """
    return pd.DataFrame(
        [{"rows": said.rows, "pattern": n, **b} for n, mine in said.scopes() for b in _bins(said, mine)]
    )


def _bins(said: Said, mine: Bool[Array, " n"]) -> Iterator[dict[str, float]]:
    confidence, top = claim(said.probs[mine])
    hit = said.labels[mine] == top
    number = np.minimum((confidence * BINS).astype(int), BINS - 1)
    for b in np.unique(number):
        here = number == b
        shares = pd.Series(hit[here]).groupby(said.patients[mine][here]).mean()
        low, high = clopper_pearson(float(shares.sum()), len(shares))
        yield {
            "bin": int(b),
            "n_cases": int(here.sum()),
            "said": float(confidence[here].mean()),
            "seen": float(hit[here].mean()),
            "low": low,
            "high": high,
        }


def reliability_diagrams(bins: pd.DataFrame, table: pd.DataFrame, path: Path, *, simulated: bool = False) -> None:
    """One small diagram per pattern, native cases with 95 % bars.

    Args:
        bins: From `reliability_bins`; native rows are drawn.
        table: From `calibration_table`, of the same rows.
        path: PNG to write.
        simulated: Say so on the figure.
    """
    bins, table = (frame[frame["rows"] == "native"] for frame in (bins, table))
    patterns = list(table["pattern"])
    columns = min(COLUMNS, len(patterns))
    size = (max(CELL_IN * columns, 3.4), CELL_IN * 1.12 * ceil(len(patterns) / columns) + 0.7)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    grid = figure.subplots(ceil(len(patterns) / columns), columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, row in zip(grid, table.itertuples(), strict=False):
        _diagram(axes, bins[bins["pattern"] == row.pattern])
        name = str(row.pattern).replace("+", " + ")
        axes.set_title(f"{name}\nn = {row.n_cases}, excess ECE {row.excess_ece:+.3f}", fontsize=7, loc="left")
    for axes in grid[len(patterns) :]:
        axes.set_visible(False)
    mark = " · simulated" if simulated else ""
    figure.suptitle(f"Calibration by what was available, as it was available{mark}", fontsize=10)
    figure.supxlabel("predicted probability", fontsize=8)
    figure.supylabel("observed frequency, 95 %", fontsize=8)
    FigureCanvasAgg(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", metadata={"Software": None})


def _diagram(axes: Axes, bins: pd.DataFrame) -> None:
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--")
    axes.vlines(bins["said"], bins["low"], bins["high"], color=COLOURS[0], linewidth=1.2)
    sizes = 6 + 60 * bins["n_cases"] / max(bins["n_cases"].sum(), 1)
    axes.scatter(bins["said"], bins["seen"], s=sizes, color=COLOURS[0], zorder=3)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
