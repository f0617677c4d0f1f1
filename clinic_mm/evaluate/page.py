"""Results pages: frames of an evaluation as Markdown tables, and a template filled with them.

In:  frames of `table`, `curves`; a Markdown template with `$names`. Out: the page.
No figure on a page is typed by hand: what a template cannot fill is an error. Nothing here computes a score.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Final

import pandas as pd

from clinic_mm.errors import InputError

QUICK: Final = (
    "> **A quick run on a part of the cases, to see that the pipeline works. Not a result.** "
    "The full run writes this page anew.\n\n"
)
COLUMNS: Final = {"auroc": "AUROC", "auprc": "AUPRC", "brier": "Brier", "nll": "NLL"}


def scores_table(table: pd.DataFrame, methods: Mapping[str, str], pattern: str = "all") -> str:
    """One line per method with the metrics of METHODS §5 and their intervals.

    Args:
        table: From `table.by_pattern`.
        methods: Names in the frame and in words, in order; those without rows are left out.
        pattern: Which cases.
    """
    level = f"{100 * table['level'].iloc[0]:g} %"
    rows = {str(row["method"]): row for _, row in table[table["pattern"] == pattern].iterrows()}
    head = ["", *(f"{told} ({level})" for told in COLUMNS.values()), "excess ECE"]
    lines = [
        [told, *(_figure(rows[name], metric) for metric in COLUMNS), f"{rows[name]['excess_ece']:+.3f}"]
        for name, told in methods.items()
        if name in rows
    ]
    return markdown(head, lines)


def patterns_table(table: pd.DataFrame, ours: str) -> str:
    """One line per availability pattern: how many, AUROC, coverage and size of the prediction sets."""
    rows = table[table["method"] == ours]
    head = ["what was there", "patients", "rarest class", "AUROC", "coverage", "mean set size"]
    lines = [
        [
            row["pattern"].replace("+", " + ") or "nothing",
            str(row["n_patients"]),
            str(row["n_rarest"]),
            _figure(row, "auroc"),
            _figure(row, "coverage"),
            f"{row['set_size']:.2f}",
        ]
        for _, row in rows.iterrows()
    ]
    return markdown(head, lines)


def limits_table(table: pd.DataFrame, methods: Mapping[str, str], ours: str = "fusion") -> str:
    """One line per pattern of a simulated cohort: AUROC of each method that answers it, beside the best possible."""
    names = [ours, *(name for name in methods if name in set(table["method"]) and name != ours)]
    rows = {(row["pattern"], row["method"]): row for _, row in table.iterrows()}
    lines = []
    for pattern in dict.fromkeys(table["pattern"]):
        own = rows[pattern, ours]
        theirs = [f"{rows[pattern, name]['auroc']:.3f}" if _speaks(name, pattern) else "" for name in names[1:]]
        what = pattern.replace("+", " + ")
        lines.append([what, str(own["n_patients"]), f"{own['limit']:.3f}", _figure(own, "auroc"), *theirs])
    return markdown(["what was there", "patients", "best possible", *(methods[name] for name in names)], lines)


def _speaks(method: str, pattern: str) -> bool:
    """Whether a method has something to go by: one modality alone has nothing where it is absent."""
    alone = method.removeprefix("single:")
    return pattern == "all" or alone == method or alone in pattern.split("+")


def gains_table(gains: pd.DataFrame, methods: Mapping[str, str], pattern: str = "all") -> str:
    """One line per comparator: ours minus theirs, paired by patient.

    Args:
        gains: From `table.fusion_gain`.
        methods: Names in the frame and in words.
        pattern: Which cases.
    """
    level = f"{100 * gains['level'].iloc[0]:g} %"
    rows = gains[gains["pattern"] == pattern]
    lines = [
        [
            methods.get(row["against"], row["against"]) + (f" ({row['chosen']})" if row["chosen"] else ""),
            f"{row['theirs']:.3f}",
            f"{row['gain']:+.3f}",
            f"{row['low']:+.3f} to {row['high']:+.3f}",
        ]
        for _, row in rows.iterrows()
    ]
    return markdown(["against", "their AUROC", "ours − theirs", f"paired {level} interval"], lines)


def best_of(gains: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    """The line of the best of some comparators, chosen on the very cases it is scored on, which flatters it."""
    rows = gains[(gains["pattern"] == "all") & gains["against"].isin(names)]
    return rows.sort_values("theirs").iloc[-1]


def bar(best: pd.Series, methods: Mapping[str, str], *, judged: bool = True) -> str:
    """Whether the bar is met, in words: the interval of ours − the best simple baseline does not lie wholly below 0.

    Args:
        best: From `best_of`.
        methods: Names in the frame and in words.
        judged: Say whether it is met; without, only the difference.
    """
    met = ("**Met.** " if best["high"] >= 0 else "**Missed.** ") if judged else ""
    told = f"{best['gain']:+.3f}, {100 * best['level']:g} % interval {best['low']:+.3f} to {best['high']:+.3f}"
    clear = " The whole interval lies above 0." if best["low"] > 0 else ""
    words = f"{met}Best simple baseline: {methods[best['against']]}, AUROC"
    return f"{words} {best['theirs']:.3f}; ours {best['ours']:.3f}; difference {told}.{clear}"


def curve_table(curves: pd.DataFrame, methods: Mapping[str, str]) -> str:
    """One line per rate, one column per method. `curves` from `evaluate.curves`."""
    names = [name for name in methods if name in set(curves["method"])]
    lines = [
        [f"{100 * rate:.0f} %", *(_point(at[at["method"] == name].iloc[0]) for name in names)]
        for rate, at in ((r, curves[curves["rate"] == r]) for r in sorted(curves["rate"].unique()))
    ]
    return markdown(["dropped", *(methods[name] for name in names)], lines)


def write_page(template: Path, page: Path, parts: Mapping[str, object], *, quick: bool = False) -> None:
    """Fill a template and write the page.

    Raises:
        InputError: If the template names something that is not given.
    """
    text = template.read_text(encoding="utf-8")
    try:
        filled = Template(text).substitute({name: str(part) for name, part in parts.items()})
    except (KeyError, ValueError) as error:
        raise InputError(f"The page cannot be filled: {error}", template.name, "Give what the template names") from None
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text((QUICK if quick else "") + filled, encoding="utf-8")


def _figure(row: pd.Series, metric: str) -> str:
    if pd.isna(row[metric]):
        return "not defined"
    return f"{row[metric]:.3f} ({row[f'{metric}_low']:.3f} to {row[f'{metric}_high']:.3f})"


def _point(row: pd.Series) -> str:
    return f"{row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})"


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table of cells."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *lines))
