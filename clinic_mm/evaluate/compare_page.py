"""The page of a comparison: one HTML file with its tables and plots inside, to be sent or kept as it is.

In:  `Tables` and what they are about. Out: one file, no script, nothing loaded from elsewhere.
"""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pandas as pd

from clinic_mm.evaluate import figures
from clinic_mm.evaluate.compare_tables import Tables
from clinic_mm.evaluate.compared_answers import MODALITIES, PARAMETERS
from clinic_mm.evaluate.table import SINGLE

MOST_LINES: Final = 7
STYLE: Final = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1180px; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; margin: .5rem 0 1.5rem }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap }
th:first-child, td:first-child { text-align: left } tr.ours { background: #eef5fb; font-weight: 600 }
.simulated { background: #fff3cd; padding: .6rem 1rem; border-left: 4px solid #b8860b } img { max-width: 100% }
.scroll { overflow-x: auto } .small { color: #666; font-size: 13px }
"""
HEADS: Final = {
    "auroc": "AUROC", "auprc": "AUPRC", "brier": "Brier", "nll": "NLL", "excess_ece": "excess ECE",
    "coverage": "coverage", "cir": "counter-intuitive",
    "gain_auroc_best_single": "− best single", "gain_auroc_average": "− late average", "minus_ours": "− default",
}  # fmt: skip
SIGNED: Final = ("gain", "change", "minus", "excess", "ours_minus")


def write_html(tables: Tables, about: Mapping[str, Any], path: Path) -> None:
    """Write the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_page(tables, about), encoding="utf-8")


def _page(tables: Tables, about: Mapping[str, Any]) -> str:
    simulated = bool(about["simulated"])
    title = f"Which way of joining pays for {about['target']}?"
    mark = '<p class="simulated"><b>SIMULATED, not patients.</b></p>' if simulated else ""
    for told in about.get("accepted_leaks", ()):
        mark += f'<p class="simulated"><b>In spite of an error of the checks, knowingly:</b> {escape(told)}.</p>'
    parts = [
        f"<h1>{escape(title)}</h1>{mark}<p>{escape(tables.words)}</p>{_about(about)}{_elsewhere(tables)}",
        "<h2>All test cases, as they are</h2>",
        "<p class=small>With 95 % intervals by patient over all repeats; differences are paired.</p>",
        _pictures(tables, simulated),
        _table(_methods(tables.methods)),
        "<h2>Cost</h2>",
        "<p class=small>Median of one fit for one split, with all inner folds and calibration; experts apart.</p>",
        _table(_costs(tables.methods)),
        _refused(tables.methods),
        "<h2>When evidence goes missing: mean AUROC from 0 to 90 %</h2>",
        *(_table(_areas(part, str(kind))) for kind, part in tables.areas.groupby("dropped", sort=False)),
        *_disturbed(tables.disturbed),
        "<h2>Per availability pattern, as they are</h2>",
        _table(_cross(tables.by_pattern)),
        "<h2>Every subset, all cases that have it masked down to it</h2>",
        _table(_cross(tables.by_subset)),
        *_distances(tables.distances),
    ]
    head = f"<meta charset=utf-8><title>{escape(title)}</title><style>{STYLE}</style>"
    foot = "<p class=small>clinic_mm is not a medical device.</p>"
    return f"<!doctype html><html lang=en><head>{head}</head><body>{''.join(parts)}{foot}</body></html>"


def _about(about: Mapping[str, Any]) -> str:
    told = (
        f"{about['n_cases']} cases of {about['n_patients']} patients; modalities {', '.join(about['modalities'])}; "
        f"{about['repeats']} repeats of one split by patient with {100 * about['test_share']:.0f} % for testing, inner "
        f"folds {about['folds']}; networks learn at level “{about['learning']}”."
        + (f" Only {about['labels']} training cases keep their labels." if about["labels"] else "")
    )
    return f"<p>{escape(told)}</p>"


def _elsewhere(tables: Tables) -> str:
    best = tables.best_elsewhere
    if best is None:
        return ""
    span = f"{best['minus_ours']:+.3f} ({best['minus_ours_low']:+.3f} to {best['minus_ours_high']:+.3f})"
    told = f"The method that was best on the other repeats ({best['chosen']}) − the default: {span} AUROC."
    return f"<p>{escape(told)}</p>"


def _methods(methods: pd.DataFrame) -> pd.DataFrame:
    done = methods[methods["auroc"].notna()]
    shown: dict[str, Sequence[object]] = {"method": done["method"].tolist()}
    for key, head in HEADS.items():
        if key in done:
            shown[head] = [_span(row, key) for row in done.to_dict("records")]
    if "set_size" in done:
        shown["set size"] = [_number(v, 2) for v in done["set_size"]]
    return pd.DataFrame(shown)


def _costs(methods: pd.DataFrame) -> pd.DataFrame:
    done = methods[methods["seconds"].notna()] if "seconds" in methods else methods.head(0)
    return pd.DataFrame(
        {
            "method": done["method"],
            "parameters": [_count(v) for v in done.get("parameters", [])],
            "multiply-adds a case": [_count(v) for v in done.get("multiply_adds", [])],
            "seconds to fit": [_number(v, 1) for v in done["seconds"]],
            "seconds to answer": [_number(v, 1) for v in done.get("seconds_answering", [])],
            "peak MiB above": [_number(v, 0) for v in done.get("peak_mib", [])],
        }
    )


def _refused(methods: pd.DataFrame) -> str:
    rows = methods[methods["refused"].fillna("") != ""]
    told = "".join(f"<li>{escape(r['method'])}: {escape(r['refused'])}</li>" for r in rows.to_dict("records"))
    return f"<h3>Could not do this task</h3><ul>{told}</ul>" if told else ""


def _areas(part: pd.DataFrame, kind: str) -> pd.DataFrame:
    rows = part.sort_values("area", ascending=False).to_dict("records")
    return pd.DataFrame(
        {
            f"{kind} dropped": [r["method"] for r in rows],
            "mean AUROC 0–90 %": [_span(r, "area") for r in rows],
            "default − it": [_span(r, "ours_minus") for r in rows],
        }
    )


def _disturbed(table: pd.DataFrame) -> list[str]:
    """One table per disturbance."""
    if not len(table):
        return []
    parts = ["<h2>With one modality disturbed at test</h2>"]
    for (what, level), part in table.groupby(["disturbed", "level"], sort=False):
        rows = part.sort_values("auroc", ascending=False).to_dict("records")
        shown = {f"{what}, level {level:g}": [r["method"] for r in rows], "AUROC": [_span(r, "auroc") for r in rows]}
        parts.append(_table(pd.DataFrame({**shown, "change": [_span(r, "change") for r in rows]})))
    return parts


def _distances(table: pd.DataFrame) -> list[str]:
    """How far the default is from the best possible answers to the same cases, where these are known."""
    if not len(table):
        return []
    rows = table.to_dict("records")
    shown = {
        "evidence": [r["pattern"].replace("+", " + ") for r in rows],
        "best possible AUROC": [_number(r["best"], 3) for r in rows],
        "default": [_number(r["ours"], 3) for r in rows],
        "distance": [_span(r, "distance") for r in rows],
        "n": [r["n_patients"] for r in rows],
    }
    said = "The generator's own answers to the same cases, and how far the default is from them; paired by patient."
    return ["<h2>Distance to the known limit</h2>", f"<p class=small>{said}</p>", _table(pd.DataFrame(shown))]


def _cross(table: pd.DataFrame) -> pd.DataFrame:
    """Methods by patterns."""
    if not len(table):
        return pd.DataFrame({"method": []})
    told = table.assign(
        shown=[_span(r, "auroc") for r in table.to_dict("records")],
        head=[f"{r['pattern'].replace('+', ' + ')} (n = {r['n_patients']})" for r in table.to_dict("records")],
    )
    wide = told.pivot_table(index="method", columns="head", values="shown", aggfunc="first", sort=False)
    if "limit" in table and table["limit"].notna().any():
        known = told.drop_duplicates("head").set_index("head")["limit"]
        wide.loc["best possible (known limit)"] = [_number(known[c], 3) for c in wide.columns]
    made: pd.DataFrame = wide.reset_index().fillna("")
    return made


def _pictures(tables: Tables, simulated: bool) -> str:
    shown = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        figures.method_forest(tables.methods[tables.methods["auroc"].notna()], path, simulated=simulated)
        shown.append(_image(path, "AUROC of every method"))
        for kind in (PARAMETERS, MODALITIES):
            part = tables.curves[tables.curves["dropped"] == kind]
            if len(part):
                figures.missing_curve(_few(part, tables.areas), path, dropped=kind, simulated=simulated)
                shown.append(_image(path, f"AUROC as {kind} go missing"))
    return "".join(shown)


def _few(curves: pd.DataFrame, areas: pd.DataFrame) -> pd.DataFrame:
    """The default, the plain baselines, and the best of the others, as many as can be told apart."""
    kind = curves["dropped"].iloc[0]
    ranked = areas[areas["dropped"] == kind].sort_values("area", ascending=False)["method"].tolist()
    first = [m for m in ("default", "boosting", "average") if m in ranked]
    others = [m for m in ranked if m not in first and not m.startswith(SINGLE) and m != "prior"]
    chosen = [*first, *others][:MOST_LINES]
    found: pd.DataFrame = pd.concat([curves[curves["method"] == m] for m in chosen])
    return found


def _image(path: Path, alt: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return f'<p><img alt="{escape(alt)}" src="data:image/png;base64,{data}"></p>'


def _table(frame: pd.DataFrame) -> str:
    head = "".join(f"<th>{escape(str(c))}</th>" for c in frame.columns)
    body = "".join(_line([str(v) for v in row]) for row in frame.itertuples(index=False))
    return f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _line(cells: Sequence[str]) -> str:
    mark = " class=ours" if cells and cells[0] == "default" else ""
    return f"<tr{mark}>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _span(row: Mapping[Any, Any], key: str) -> str:
    value, low, high = (row.get(name) for name in (key, f"{key}_low", f"{key}_high"))
    if value is None or pd.isna(value):
        return ""
    sign = "+" if key.startswith(SIGNED) else ""
    ends = "" if low is None or pd.isna(low) else f" ({low:{sign}.3f} to {high:{sign}.3f})"
    return f"{value:{sign}.3f}{ends}"


def _number(value: float, digits: int) -> str:
    return "" if pd.isna(value) else f"{value:.{digits}f}"


def _count(value: float) -> str:
    return "" if pd.isna(value) else f"{int(value):,}"
