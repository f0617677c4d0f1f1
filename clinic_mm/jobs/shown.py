"""The evaluation in the width of a terminal: AUROC with its interval per pattern, beside limit and baselines."""

import pandas as pd

from clinic_mm.predict.answers import OURS


def short_table(table: pd.DataFrame) -> pd.DataFrame:
    """One row per pattern: n, ours with interval, the limit where it is known, and the baselines."""
    rows = []
    for pattern, part in table.groupby("pattern", sort=False):
        ours = part[part["method"] == OURS].iloc[0]
        others = part.set_index("method")["auroc"]
        singles = others[others.index.str.startswith("single:")]
        rows.append(
            {
                "pattern": str(pattern).replace("+", " + "),
                "n": int(ours["n_cases"]),
                "AUROC": ours["auroc"],
                "95 % interval": _interval(ours),
                "known limit": ours["limit"],
                "late average": others.get("late_average", float("nan")),
                "concat": others.get("concat", float("nan")),
                "best single": singles.max() if len(singles) else float("nan"),
                "coverage": ours.get("coverage", float("nan")),
            }
        )
    return pd.DataFrame(rows)


def _interval(row: pd.Series) -> str:
    return "-" if pd.isna(row["auroc_low"]) else f"{row['auroc_low']:.3f} to {row['auroc_high']:.3f}"
