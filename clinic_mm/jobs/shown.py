"""What commands found, in the width of a terminal: figures with their intervals, beside limit or chance."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pandas as pd

from clinic_mm.drafting.drafter import Drafter
from clinic_mm.jobs.retrieve import Nearest
from clinic_mm.jobs.saliency_piece import Row
from clinic_mm.predict.answers import OURS
from clinic_mm.predict.model import Model
from clinic_mm.report.saliency_words import peak_in_words

FEWEST_CASES = 10
"""Cases below which an AUROC is noise; the number of cases is shown, the figure is not."""


def pattern_table(subsets: pd.DataFrame) -> pd.DataFrame:
    """One row per pattern: cases that have just this evidence, cases masked down to it, and the limit."""
    return pd.DataFrame(
        {
            "evidence": subsets["pattern"].str.replace("+", " ", regex=False),
            "n": subsets["n_native"],
            "AUROC (95 %)": [_figure(row, "native") for _, row in subsets.iterrows()],
            "n masked": subsets["n_masked"],
            "AUROC masked (95 %)": [_figure(row, "masked") for _, row in subsets.iterrows()],
            "known limit": subsets["limit"],
        }
    )


def method_table(table: pd.DataFrame) -> pd.DataFrame:
    """All test cases: ours and every baseline with intervals, and what the prediction sets covered."""
    every = table[table["pattern"] == "all"]
    shown = pd.DataFrame({"method": every["method"], "n": every["n_cases"]})
    for metric in ("auroc", "auprc", "brier", "nll", "excess_ece"):
        shown[metric] = every[metric].map("{:.3f}".format) + _span(every, metric)
    if "coverage" in every:
        covered = every["coverage"].map("{:.3f}".format) + _span(every, "coverage")
        shown["coverage"] = covered.where(every["method"] == OURS, "")
        shown["set size"] = every["set_size"].map("{:.2f}".format).where(every["method"] == OURS, "")
    return shown


def calibration_words(model: Model, out: Path) -> str:
    """What calibrating to a site moved, and whether cross-validation on its cases says that it pays."""
    told = cast("dict[str, Any]", model.facts["calibrated"])
    moved = ", ".join(f"{name} {value:+.2f}" for name, value in told["shift"].items())
    figures = [
        f"  {name.replace('_', ' ')}: {row['before']:.3f} before, {row['after']:.3f} after, "
        f"{row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"
        for name, row in told["figures"].items()
    ]
    lines = [
        f"New version in {out}, calibrated on {told['n_cases']} cases of {told['n_patients']} patients.",
        f"Fitted: temperature {told['temperature']:.2f}, log-odds moved by {moved}.",
        "Cross-validated on the site's own cases, by patient:",
        *figures,
        told["words"],
        f"Next: clinic-mm evaluate {out} COHORT --out evaluation, on further patients of the site",
    ]
    return "\n".join(lines)


def nearest_table(found: Nearest) -> pd.DataFrame:
    """One row per near case, nearest first."""
    return pd.DataFrame(
        {
            "case": [one.case_key for one in found.near],
            "similarity": [one.similarity for one in found.near],
            "has": [" ".join(one.has) for one in found.near],
            "label": [one.label or "unknown" for one in found.near],
            "trained on": ["yes" if one.trained_on else "no" for one in found.near],
        }
    )


def nearest_words(found: Nearest) -> str:
    """What was looked for, and where the own case comes."""
    kind = "SIMULATED cases" if found.simulated else "cases"
    looked_in = " ".join(found.looked_in) or "whatever they have"
    told = (
        f"Case {found.query} by its {' '.join(found.looked_from)}, among {found.n_gallery} other {kind} by {looked_in}."
    )
    if found.own_rank is None:
        return told
    return f"{told} Its own {looked_in} would come at rank {found.own_rank} of {found.n_gallery + 1}."


def retrieval_table(figures: pd.DataFrame) -> pd.DataFrame:
    """One row per direction and what counts as right; each figure with its interval, then chance."""
    keys = ["from", "to", "right", "n_queries", "n_gallery"]
    told = figures.assign(
        told=[_beside_chance(row) for _, row in figures.iterrows()],
        order=pd.Categorical(figures["figure"], categories=figures["figure"].unique(), ordered=True),
    )
    wide = told.pivot(index=keys, columns="order", values="told").reindex(
        pd.MultiIndex.from_frame(told[keys].drop_duplicates())
    )
    wide.columns = [str(name) for name in wide.columns]
    return wide.reset_index().rename(columns={"n_queries": "queries", "n_gallery": "gallery"})


def text_metrics_table(figures: pd.DataFrame) -> pd.DataFrame:
    """One row per metric and method: the figure, the gain over the baseline, and over drafts of other patients."""
    return pd.DataFrame(
        {
            "metric": figures["metric"],
            "method": figures["method"],
            "figure (95 %)": _interval(figures, "estimate", "low", "high", sign=""),
            "over most frequent": _interval(figures, "gain", "gain_low", "gain_high"),
            "over drafts of others": _interval(figures, "own", "own_low", "own_high"),
        }
    )


def _interval(rows: pd.DataFrame, at: str, low: str, high: str, sign: str = "+") -> list[str]:
    return [f"{row[at]:{sign}.3f} ({row[low]:{sign}.3f} to {row[high]:{sign}.3f})" for _, row in rows.iterrows()]


def drafter_words(drafter: Drafter, out: Path) -> str:
    """What a drafter learnt from, what it withholds, and whether evidence told it anything."""
    facts, withheld = drafter.facts, drafter.lexicon.k
    kind = "SIMULATED notes" if facts["simulated"] else "notes"
    helps = "helps" if facts["evidence_helps"] else "does not help measurably"
    return (
        f"Drafter in {out}, learnt from {facts['n_cases']} {kind} of {facts['n_patients']} patients.\n"
        f"It may write {len(drafter.lexicon.forms)} words; words of fewer than {withheld} patients, numbers and names "
        f"are withheld, which leaves {facts['n_sentences_without_a_withheld_word']} of {facts['n_sentences']} "
        f"sentences for retrieval.\n"
        f"Evidence {helps} in foreseeing the words of notes; {drafter.neighbours} nearest cases vote.\n"
        "PATIENT-DERIVED: keep bank.json and bank.safetensors where the notes are kept, or take both out.\n"
        f"Next: clinic-mm draft evaluate {out} COHORT --out draft_figures"
    )


def saliency_table(rows: Sequence[Row]) -> pd.DataFrame:
    """One row per case and modality: where hiding costs the answer most, or why there is no saliency."""
    return pd.DataFrame(
        {
            "case": [row.case_key for row in rows],
            "modality": [row.modality for row in rows],
            "": [row.status for row in rows],
            "seconds": [f"{row.seconds:.1f}" if row.seconds else "" for row in rows],
            "where": [peak_in_words(row.saliency.told) if row.saliency else _reason(row) for row in rows],
        }
    )


def _reason(row: Row) -> str:
    return f"{row.why} ({row.code})" if row.code else row.why


def _beside_chance(row: pd.Series) -> str:
    digits = 0 if row["figure"] == "median rank" else 3
    value, low, high, chance = (f"{row[name]:.{digits}f}" for name in ("value", "low", "high", "chance"))
    return f"{value} ({low} to {high}) | {chance}"


def _figure(row: pd.Series, name: str) -> str:
    if row[f"n_{name}"] < FEWEST_CASES or pd.isna(row[name]):
        return "-"
    return f"{row[name]:.3f} ({row[f'{name}_low']:.3f} to {row[f'{name}_high']:.3f})"


def _span(rows: pd.DataFrame, metric: str) -> pd.Series:
    low, high = f"{metric}_low", f"{metric}_high"
    if low not in rows:
        return pd.Series("", index=rows.index)
    return " (" + rows[low].map("{:.3f}".format) + " to " + rows[high].map("{:.3f}".format) + ")"
