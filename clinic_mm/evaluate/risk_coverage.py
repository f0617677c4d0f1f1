"""What silence is worth: the risk of the answers that are given, over the share of cases that get one.

In:  probabilities, labels, patients; for a model's own silence, why each case got no answer.
Out: the risk-coverage curve with the area under it, beside a random and a perfect order; the effect of each reason.

The area (AURC) is the mean over k of the risk of the k surest answers; less is better. A random order has the risk of
all answers everywhere; the perfect one puts every error last. Ties get the mean of their group.
Source: El-Yaniv & Wiener 2010, JMLR 11:1605-1641; Geifman & El-Yaniv, arXiv 1705.08500; AURC and the excess over the
perfect order: Geifman, Uziel & El-Yaniv, arXiv 1805.08206.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float64, Int
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy import ndarray as Array

from clinic_mm.evaluate.bootstrap import DRAWS, draw_counts, percentile
from clinic_mm.evaluate.figures import COLOURS, DPI

POINTS: Final = 101
LOSSES: Final = {"error": "share of wrong decisions", "brier": "Brier score"}
LABEL: Final = {"confidence": "surest first", "perfect": "perfect order", "random": "random order"}


def losses(probs: Float[Array, "n C"], labels: Int[Array, " n"]) -> dict[str, Float64[Array, " n"]]:
    """Loss of each answer: whether the most probable class is wrong, and the Brier score from 0 to 1."""
    wrong = (probs.argmax(axis=1) != labels).astype(np.float64)
    brier = np.square(probs - np.eye(probs.shape[1])[labels]).sum(axis=1) / 2
    return {"error": wrong, "brier": brier}


def selective_risk(
    score: Float[Array, " n"], loss: Float[Array, " n"], counts: Float64[Array, "R n"] | None = None
) -> tuple[Float64[Array, "R n"], Float64[Array, "R n"]]:
    """Coverage and risk after each case, highest score first.

    Args:
        score: The higher, the sooner a case is answered.
        loss: Of each answer.
        counts: How often each case is in each resample; once each where None.

    Returns:
        Coverage in (0, 1] and the mean loss of what is answered by then; NaN before the first case that was drawn.
    """
    drawn = np.ones((1, len(score))) if counts is None else counts
    order = np.argsort(-score, kind="stable")
    drawn, cost = drawn[:, order], (drawn * loss)[:, order]
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) < 0])
    group = np.cumsum(np.isin(np.arange(len(score)), starts)) - 1
    weight, total = np.add.reduceat(drawn, starts, axis=1), np.add.reduceat(cost, starts, axis=1)
    mean = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    passed, paid = np.cumsum(drawn, axis=1), np.cumsum(drawn * mean[:, group], axis=1)
    risk = np.divide(paid, passed, out=np.full_like(paid, np.nan), where=passed > 0)
    return passed / passed[:, -1:], risk


def aurc(
    score: Float[Array, " n"], loss: Float[Array, " n"], counts: Float64[Array, "R n"] | None = None
) -> Float64[Array, " R"]:
    """Area under the risk-coverage curve, of the sample or of each resample."""
    drawn = np.ones((1, len(score))) if counts is None else counts
    _, risk = selective_risk(score, loss, drawn)
    weight = drawn[:, np.argsort(-score, kind="stable")]
    area: Float64[Array, " R"] = (np.nan_to_num(risk) * weight).sum(axis=1) / weight.sum(axis=1)
    return area


def areas(
    probs: Float[Array, "n C"], labels: Int[Array, " n"], patients: Array, *, n: int = DRAWS, seed: int = 0
) -> pd.DataFrame:
    """The area of our order beside a random and a perfect one, with intervals by patient.

    Returns:
        One row per loss: loss, n_cases, n_patients, aurc, low, high, random, perfect, gain (random minus ours),
        gain_low, gain_high.
    """
    who, index = np.unique(np.asarray(patients), return_inverse=True)
    score = probs.max(axis=1)
    rows = []
    for name, loss in losses(probs, labels).items():
        drawn = [
            (aurc(score, loss, counts), (counts @ loss) / counts.sum(axis=1))
            for counts in draw_counts(index, len(who), n=n, seed=seed)
        ]
        ours, chance = (np.concatenate(part) for part in zip(*drawn, strict=True))
        mine, random = float(aurc(score, loss)[0]), float(loss.mean())
        low, high = percentile(ours, 0.95)
        gain_low, gain_high = percentile(chance - ours, 0.95)
        rows.append(
            {
                "loss": name,
                "n_cases": len(labels),
                "n_patients": len(who),
                "aurc": mine,
                "low": low,
                "high": high,
                "random": random,
                "perfect": float(aurc(-loss, loss)[0]),
                "gain": random - mine,
                "gain_low": gain_low,
                "gain_high": gain_high,
            }
        )
    return pd.DataFrame(rows)


def risk_coverage(probs: Float[Array, "n C"], labels: Int[Array, " n"]) -> pd.DataFrame:
    """The curves at every percent of coverage.

    Returns:
        Columns loss, order (confidence, perfect, random), coverage, risk.
    """
    frames = []
    for name, loss in losses(probs, labels).items():
        for order, score in {"confidence": probs.max(axis=1), "perfect": -loss, "random": np.zeros(len(loss))}.items():
            coverage, risk = selective_risk(score, loss)
            at = np.linspace(0, 1, POINTS)[1:]
            place = np.minimum(np.searchsorted(coverage[0], at - 1e-9), len(loss) - 1)
            frames.append(pd.DataFrame({"loss": name, "order": order, "coverage": at, "risk": risk[0, place]}))
    return pd.concat(frames, ignore_index=True)


def silence_table(
    probs: Float[Array, "n C"],
    labels: Int[Array, " n"],
    patients: Array,
    codes: Sequence[Sequence[str]],
    *,
    n: int = DRAWS,
    seed: int = 0,
) -> pd.DataFrame:
    """What each reason for silence does: the risk of those who got no answer beside that of those who did.

    Args:
        probs: What would have been said.
        labels: Class numbers.
        patients: Patient of each case.
        codes: Why each case got no answer; empty for one that got one.
        n: Bootstrap draws.
        seed: Of the draws.

    Returns:
        One row per reason and one for any: reason, loss, n_cases, share, silenced, answered, difference, low, high.
    """
    who, index = np.unique(np.asarray(patients), return_inverse=True)
    masks: Mapping[str, Bool[Array, " n"]] = {
        "any": np.array([bool(one) for one in codes]),
        **{name: np.array([name in one for one in codes]) for name in sorted({c for one in codes for c in one})},
    }
    answered = ~masks["any"]
    rows = []
    for reason, silent in masks.items():
        for name, loss in losses(probs, labels).items():
            drawn = np.concatenate(
                [
                    _mean(c, loss, silent) - _mean(c, loss, answered)
                    for c in draw_counts(index, len(who), n=n, seed=seed)
                ]
            )
            once = np.ones((1, len(loss)))
            mine, rest = float(_mean(once, loss, silent)[0]), float(_mean(once, loss, answered)[0])
            low, high = percentile(drawn, 0.95)
            rows.append(
                {
                    "reason": reason,
                    "loss": name,
                    "n_cases": int(silent.sum()),
                    "share": float(silent.mean()),
                    "silenced": mine,
                    "answered": rest,
                    "difference": mine - rest,
                    "low": low,
                    "high": high,
                }
            )
    return pd.DataFrame(rows)


def _mean(counts: Float64[Array, "R n"], loss: Float[Array, " n"], mine: Bool[Array, " n"]) -> Float64[Array, " R"]:
    weight = counts[:, mine].sum(axis=1)
    total = counts[:, mine] @ loss[mine]
    mean: Float64[Array, " R"] = np.divide(total, weight, out=np.full(len(counts), np.nan), where=weight > 0)
    return mean


def draw(curves: pd.DataFrame, table: pd.DataFrame, path: Path, *, simulated: bool = False) -> None:
    """The curves of each loss side by side.

    Args:
        curves: From `risk_coverage`.
        table: From `areas`.
        path: PNG to write.
        simulated: Say so on the figure.
    """
    figure = Figure(figsize=(7.5, 3.6), dpi=DPI, layout="constrained")
    for axes, (loss, words) in zip(figure.subplots(1, len(LOSSES)), LOSSES.items(), strict=True):
        for i, (order, label) in enumerate(LABEL.items()):
            part = curves[(curves["loss"] == loss) & (curves["order"] == order)]
            style = "-" if order == "confidence" else "--"
            axes.plot(part["coverage"] * 100, part["risk"], style, color=COLOURS[i], label=label)
        row = table[table["loss"] == loss].iloc[0]
        title = f"AURC {row['aurc']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
        axes.set_title(f"{title}\nrandom {row['random']:.3f}, perfect {row['perfect']:.3f}", fontsize=8, loc="left")
        axes.set(xlabel="cases answered, %", ylabel=words, xlim=(0, 100), ylim=(0, None))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="0.92")
    mark = " · simulated" if simulated else ""
    patients = int(table["n_patients"].iloc[0])
    figure.suptitle(f"Risk of the answers that are given ({patients} patients){mark}", fontsize=10)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    FigureCanvasAgg(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", metadata={"Software": None})
