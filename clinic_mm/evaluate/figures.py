"""Figures of an evaluation as PNG: AUROC per pattern beside its limit, reliability, missing-rate curve, fusion gain.

In:  the frames of `table` and `missingness`, or probabilities and labels. Out: one PNG file each.

Matplotlib's objects only, no pyplot: nothing is global, and figures can be drawn in any thread. Every figure says how
many patients stand behind it, and that its data are simulated where they are.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy import ndarray as Array

from clinic_mm.evaluate.metrics import METRICS, claim, ece, excess_ece
from clinic_mm.evaluate.table import SINGLE
from clinic_mm.predict.interval import clopper_pearson

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555")
"""Told apart with any colour vision (Okabe & Ito 2008); methods differ in marker too."""
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")
WIDTH_IN: Final = 7.5
DPI: Final = 150
RELIABILITY_BINS: Final = 10


def auc_per_pattern(table: pd.DataFrame, path: Path, *, simulated: bool = False) -> None:
    """AUROC with interval per pattern, one mark per method, the known limit as a bar.

    Args:
        table: From `table.by_pattern`; choose a few methods before.
        path: PNG to write.
        simulated: Say so on the figure.
    """
    patterns = list(dict.fromkeys(table["pattern"]))
    figure, axes = _figure(1.4 + 0.42 * len(patterns))
    place = {pattern: len(patterns) - 1 - i for i, pattern in enumerate(patterns)}
    methods = list(dict.fromkeys(table["method"]))
    for i, method in enumerate(methods):
        part = table[table["method"] == method]
        y = part["pattern"].map(place).to_numpy(dtype=float) + _offset(i, len(methods))
        _points(axes, part["auroc"], y, part["auroc_low"], part["auroc_high"], i, _words(method))
    known = table.drop_duplicates("pattern").dropna(subset="limit")
    if len(known):
        y = known["pattern"].map(place).to_numpy(dtype=float)
        axes.vlines(known["limit"], y - 0.42, y + 0.42, color="black", linewidth=2, label="best possible")
    axes.axvline(0.5, color="0.7", linewidth=1, linestyle=":")
    axes.set_xlabel(f"AUROC with {_level(table)} interval; n = patients")
    _name_patterns(axes, table, place)
    _finish(figure, axes, path, "Discrimination by what was available", simulated)


def reliability(
    probs: Float[Array, "n C"], labels: Int[Array, " n"], path: Path, *, n_patients: int, simulated: bool = False
) -> None:
    """Predicted against observed frequency in ten bins, with Clopper-Pearson bars and the number of cases per bin.

    Args:
        probs: Probabilities; P(second class) is drawn if there are two, else that of the top class.
        labels: Class numbers.
        path: PNG to write.
        n_patients: Patients behind the rows.
        simulated: Say so on the figure.
    """
    confidence, top = claim(probs)
    hit = labels == top
    figure = Figure(figsize=(5.2, 5.8), dpi=DPI, layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=[4, 1], sharex=True)
    edges = np.linspace(0, 1, RELIABILITY_BINS + 1)
    number = np.minimum((confidence * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    used = np.unique(number)
    said = np.array([confidence[number == b].mean() for b in used])
    seen = np.array([hit[number == b].mean() for b in used])
    ends = np.array([clopper_pearson(float(hit[number == b].sum()), int((number == b).sum())) for b in used])
    upper.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--", label="perfect")
    _points(upper, said, seen, ends[:, 0], ends[:, 1], 0, "observed, 95 % interval", vertical=True)
    upper.set(ylabel="observed frequency", ylim=(-0.02, 1.02), xlim=(-0.02, 1.02))
    lower.hist(confidence, bins=list(edges), color=COLOURS[0], alpha=0.6)
    binary = probs.shape[1] == 2
    lower.set(ylabel="cases", xlabel="predicted probability" + ("" if binary else " of the most probable class"))
    title = f"Calibration: ECE {ece(probs, labels):.3f}, excess {excess_ece(probs, labels):+.3f}"
    _finish(figure, upper, path, f"{title}\n{len(labels)} cases, {n_patients} patients", simulated)


def missing_curve(
    curves: pd.DataFrame, path: Path, *, dropped: str, references: pd.DataFrame | None = None, simulated: bool = False
) -> None:
    """A metric over missing rates, one line with interval per method.

    Args:
        curves: From `missingness.curve`, several methods one below the other.
        path: PNG to write.
        dropped: What goes missing, for the axis: "parameters", "modalities".
        references: Optional points of others to compare with: columns method, rate, value.
        simulated: Say so on the figure.
    """
    figure, axes = _figure(4.4)
    for i, (method, part) in enumerate(curves.groupby("method", sort=False)):
        colour, marker, percent = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)], part["rate"] * 100
        axes.plot(percent, part["value"], label=_words(str(method)), color=colour, marker=marker, markersize=5)
        axes.fill_between(percent, part["low"], part["high"], color=colour, alpha=0.15, linewidth=0)
    if references is not None:
        for method, part in references.groupby("method", sort=False):
            axes.plot(part["rate"] * 100, part["value"], "k--", marker="x", linewidth=1, label=_words(str(method)))
    metric = METRICS[str(curves["metric"].iloc[0])]
    axes.set(xlabel=f"{dropped} dropped at test, %", ylabel=f"{metric.label} with {_level(curves)} interval")
    axes.grid(color="0.92")
    counts = f"{curves['n_cases'].iloc[0]} cases, {curves['n_patients'].iloc[0]} patients"
    _finish(figure, axes, path, f"When {dropped} go missing ({counts})", simulated)


def method_forest(methods: pd.DataFrame, path: Path, *, simulated: bool = False) -> None:
    """AUROC of many methods on the same cases, best on top, with intervals.

    Args:
        methods: Columns method, auroc, auroc_low, auroc_high, n_patients.
        path: PNG to write.
        simulated: Say so on the figure.
    """
    ranked = methods.sort_values("auroc")
    figure, axes = _figure(1.2 + 0.24 * len(ranked))
    y = np.arange(len(ranked), dtype=float)
    _points(axes, ranked["auroc"], y, ranked["auroc_low"], ranked["auroc_high"], 0, "all test cases, as they are")
    axes.set_yticks(y, [_words(str(m)) for m in ranked["method"]], fontsize=8)
    axes.set_xlabel("AUROC with 95 % interval by patient")
    axes.grid(axis="x", color="0.92")
    _finish(figure, axes, path, f"Every method ({int(ranked['n_patients'].max())} patients)", simulated)


def gain(gains: pd.DataFrame, path: Path, *, simulated: bool = False) -> None:
    """What fusion gains over each comparator per pattern, with paired intervals; right of the line is better.

    Args:
        gains: From `table.fusion_gain`.
        path: PNG to write.
        simulated: Say so on the figure.
    """
    patterns = list(dict.fromkeys(gains["pattern"]))
    figure, axes = _figure(1.4 + 0.42 * len(patterns))
    place = {pattern: len(patterns) - 1 - i for i, pattern in enumerate(patterns)}
    rivals = list(dict.fromkeys(gains["against"]))
    for i, rival in enumerate(rivals):
        part = gains[gains["against"] == rival]
        y = part["pattern"].map(place).to_numpy(dtype=float) + _offset(i, len(rivals))
        _points(axes, part["gain"], y, part["low"], part["high"], i, f"against {_words(rival)}")
    axes.axvline(0, color="black", linewidth=1)
    metric = METRICS[str(gains["metric"].iloc[0])]
    axes.set_xlabel(f"gain in {metric.label}, paired {_level(gains)} interval (right of 0: better); n = patients")
    _name_patterns(axes, gains, place)
    _finish(figure, axes, path, "What fusion gains", simulated)


def evidence_paths(paths: Mapping[str, Float[Array, " t"]], path: Path, *, simulated: bool = False) -> None:
    """Evidence of detectors over the cases, as shares of what an alarm takes, on a logarithmic scale.

    Args:
        paths: By what is watched, one value per case.
        path: PNG to write.
        simulated: Say so on the figure.
    """
    figure, axes = _figure(3.6)
    for i, (name, values) in enumerate(paths.items()):
        shown = np.clip(values, 1e-6, 1e3)
        axes.plot(np.arange(1, len(shown) + 1), shown, label=name, color=COLOURS[i % len(COLOURS)], linewidth=1.2)
    axes.axhline(1.0, color="black", linewidth=1, linestyle="--", label="alarm")
    axes.set(yscale="log", ylim=(1e-6, 2e3), xlabel="case, in time order", ylabel="evidence, share of an alarm")
    axes.grid(color="0.92")
    _finish(figure, axes, path, "Has anything changed?", simulated)


def _figure(height_in: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH_IN, max(height_in, 2.6)), dpi=DPI, layout="constrained")
    return figure, figure.subplots()


def _offset(i: int, n: int) -> float:
    """Spread of the marks of several methods within one line, first on top."""
    step = min(0.16, 0.7 / n)
    return step * ((n - 1) / 2 - i)


def _points(
    axes: Axes,
    x: Array | pd.Series,
    y: Array | pd.Series,
    low: Array | pd.Series,
    high: Array | pd.Series,
    i: int,
    label: str,
    *,
    vertical: bool = False,
) -> None:
    """Marks with bars from low to high (which need not hold the mark)."""
    colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
    (axes.vlines if vertical else axes.hlines)(x if vertical else y, low, high, color=colour, linewidth=1.4)
    axes.plot(x, y, linestyle="none", marker=marker, markersize=5, color=colour, label=label)


def _name_patterns(axes: Axes, table: pd.DataFrame, place: dict[str, int]) -> None:
    """One line per pattern, with the patients behind the method that answers most."""
    patients = table.groupby("pattern")["n_patients"].max()
    axes.set_yticks(list(place.values()), [f"{_words(p) or 'nothing'}  (n = {patients[p]})" for p in place])
    axes.set_ylim(-0.5, len(place) - 0.5)
    axes.hlines(np.arange(len(place) - 1) + 0.5, 0, 1, transform=axes.get_yaxis_transform(), color="0.85", linewidth=1)
    axes.grid(axis="x", color="0.92")


def _words(name: str) -> str:
    """A pattern or method as a person would write it."""
    if name.startswith(SINGLE):
        return f"{name.removeprefix(SINGLE)} alone"
    return name.replace("+", " + ").replace("_", " ")


def _level(table: pd.DataFrame) -> str:
    return f"{100 * table['level'].iloc[0]:g} %"


def _finish(figure: Figure, axes: Axes, path: Path, title: str, simulated: bool) -> None:
    axes.set_title(f"{title} · simulated" if simulated else title, fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    FigureCanvasAgg(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", metadata={"Software": None})
