"""The evaluation in the width of a terminal: AUROC with its interval per pattern, beside the known limit."""

import pandas as pd

from clinic_mm.predict.answers import OURS

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
    return shown


def _figure(row: pd.Series, name: str) -> str:
    if row[f"n_{name}"] < FEWEST_CASES or pd.isna(row[name]):
        return "-"
    return f"{row[name]:.3f} ({row[f'{name}_low']:.3f} to {row[f'{name}_high']:.3f})"


def _span(rows: pd.DataFrame, metric: str) -> pd.Series:
    low, high = f"{metric}_low", f"{metric}_high"
    if low not in rows:
        return pd.Series("", index=rows.index)
    return " (" + rows[low].map("{:.3f}".format) + " to " + rows[high].map("{:.3f}".format) + ")"
