"""The page of methods: what each computes and where it comes from, then what it did on each data set.

In:  the rows of `schemas/methods.toml`, and for each data set the JSON that a comparison wrote. Out: Markdown.
No figure is typed by hand; a data set that was not compared yet is left out, and said to be.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from clinic_mm.evaluate.page import markdown
from clinic_mm.evaluate.table import SINGLE

FAMILIES: Final = ("baseline", "late", "fusion", "hybrid", "co-learning", "coordinated", "generative")
RESULT: Final = (
    "method", "AUROC", "NLL", "− best single", "− late average", "− default", "parameters", "multiply-adds", "seconds",
)  # fmt: skip
PLAIN: Final = ("default", "prior")
HEAD: Final = """\
# Methods

Every way of joining modalities, by the name that task files (`[fusion] method = "…"`) and `clinic-mm compare`
take. z_m is the summary of modality m, a_m is 1 where it is present, S is who is present, p_m what an expert says.
The default (experts, calibrated log-pool, residual where it pays) is described in [artifact.md](artifact.md).

This page is written by `$command`, with `--only`, `--methods` and `--repeats` where a section below has fewer methods
or repeats than all and 5; what was not compared yet is not on it.
"""


def methods_page(rows: Sequence[Mapping[str, Any]], results: Mapping[str, Mapping[str, Any]], command: str) -> str:
    """The page.

    Args:
        rows: Of the table of methods.
        results: By title, what a comparison wrote.
        command: That makes the page.
    """
    parts = [HEAD.replace("$command", command)]
    for family in FAMILIES:
        if own := [row for row in rows if row["family"] == family]:
            parts.append(f"## {family.capitalize()}\n\n{_what(own)}\n")
    parts += [_result(title, told) for title, told in results.items()]
    return "\n".join(parts)


def _what(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [[f"`{r['name']}`", r["label"], _cell(r["equation"]), _cell(r["absent"]), r["paper"]] for r in rows]
    return markdown(["name", "method", "what is computed", "an absent modality", "source"], lines)


def _cell(text: str) -> str:
    """A bar would end the cell."""
    return text.replace("|", "\\|")


def _result(title: str, told: Mapping[str, Any]) -> str:
    mark = " · SIMULATED" if told["simulated"] else ""
    about = (
        f"{told['n_cases']} cases of {told['n_patients']} patients, {', '.join(told['modalities'])}; "
        f"{_splits(told)}, {100 * told['test_share']:.0f} % tested, "
        f"inner folds {told['folds']}; networks learn at level “{told['learning']}”."
    )
    scored = [row for row in told["methods"] if row["auroc"] is not None]
    head = [
        "method",
        "AUROC",
        "NLL",
        "− best single",
        "− late average",
        "− default",
        "parameters",
        "multiply-adds",
        "s",
    ]
    table = markdown(head, [_line(row) for row in sorted(scored, key=lambda r: -r["auroc"])])
    return "\n\n".join(
        [
            f"## {title}{mark}",
            about,
            told["words"],
            table,
            _distances(told),
            _areas(told),
            _elsewhere(told),
            _refused(told),
        ]
    )


def _splits(told: Mapping[str, Any]) -> str:
    cohorts = told.get("cohorts", 1)
    if cohorts > 1:
        return f"{cohorts} cohorts, {told['repeats'] // cohorts} split by patient of each"
    return f"{told['repeats']} repeats of one split by patient"


def _line(row: Mapping[str, Any]) -> list[str]:
    gains = ("gain_auroc_best_single", "gain_auroc_average", "minus_ours")
    counts = (row.get("parameters"), row.get("multiply_adds"))
    own = "" if row["method"].startswith(SINGLE) or row["method"] in PLAIN else "`"
    return [
        f"**{row['method']}**" if row["method"] == "default" else f"{own}{row['method']}{own}",
        _span(row, "auroc", ""),
        _span(row, "nll", ""),
        *(_itself(row) or _span(row, key, "+") if key == "minus_ours" else _span(row, key, "+") for key in gains),
        *("" if count is None else f"{int(count):,}" for count in counts),
        "" if row.get("seconds") is None else f"{row['seconds']:.1f}",
    ]


def _distances(told: Mapping[str, Any]) -> str:
    """Of the default to the best possible answers, per subset masked down to; only simulated cohorts know them."""
    rows = told.get("distances") or []
    lines = [
        [
            r["pattern"].replace("+", " + "),
            str(r["n_patients"]),
            f"{r['best']:.3f}",
            f"{r['ours']:.3f}",
            _span(r, "distance", "+"),
        ]
        for r in rows
    ]
    return markdown(["evidence", "n", "best possible", "default", "distance in AUROC"], lines) if rows else ""


def _areas(told: Mapping[str, Any]) -> str:
    parts = []
    for kind in dict.fromkeys(row["dropped"] for row in told["areas"]):
        rows = sorted((r for r in told["areas"] if r["dropped"] == kind), key=lambda r: -r["area"])
        lines = [[r["method"], _span(r, "area", ""), _itself(r) or _span(r, "ours_minus", "+")] for r in rows]
        parts.append(markdown([f"{kind} dropped", "mean AUROC 0–90 %", "default − it"], lines))
    return "\n\n".join(parts)


def _elsewhere(told: Mapping[str, Any]) -> str:
    best = told["best_elsewhere"]
    if best is None:
        return ""
    return f"The method best on the other repeats ({best['chosen']}) − default: {_span(best, 'minus_ours', '+')} AUROC."


def _refused(told: Mapping[str, Any]) -> str:
    lines = [f"- `{row['method']}` could not: {row['refused']}" for row in told["methods"] if row.get("refused")]
    return "\n".join(lines)


def _itself(row: Mapping[str, Any]) -> str:
    """Nothing is held against itself."""
    return "–" if row["method"] == "default" else ""


def _span(row: Mapping[str, Any], key: str, sign: str) -> str:
    if row.get(key) is None:
        return ""
    ends = (
        "" if row.get(f"{key}_low") is None else f" ({row[f'{key}_low']:{sign}.3f} to {row[f'{key}_high']:{sign}.3f})"
    )
    return f"{row[key]:{sign}.3f}{ends}"
