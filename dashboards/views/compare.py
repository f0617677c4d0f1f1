"""Comparison: which way of joining pays, from a folder that `clinic-mm compare` wrote.

In:  compare.json. Out: the same figures as its HTML page, to be sorted and taken along; each with its interval.
"""

from pathlib import Path
from typing import Final

import pandas as pd
import streamlit as st

import guard
from clinic_mm.evaluate.read_back import ComparedFolder, open_comparison, stamp, withheld_rows
from components.chart import forest, lines
from components.plain import plain
from components.science import chosen, in_words, simulated, spans, table, told_rule

FIRST: Final = ("default", "boosting", "average")
DRAWN: Final = 7
METRICS: Final = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "brier": "Brier",
    "nll": "NLL",
    "excess_ece": "Excess ECE",
    "coverage": "Coverage",
    "cir": "Made worse by more evidence",
    "gain_auroc_best_single": "AUROC − best single",
    "gain_auroc_average": "AUROC − late average",
    "minus_ours": "AUROC − default",
}


def main() -> None:
    """Draw the page."""
    guard.need("explore")
    st.header("Comparison of methods")
    asked = chosen("comparison", "Comparison")
    if asked is None:
        return
    name, folder = asked
    found = _read(str(folder), stamp(folder, ("compare.json",)))
    _about(found)
    methods = found.tables["methods"]
    _methods(methods[methods["auroc"].notna()], name)
    _missing(found, name)
    _per_pattern(found, name)
    _costs(methods, name)


@st.cache_resource(max_entries=8, show_spinner=False)
def _read(folder: str, stamp_: str) -> ComparedFolder:
    return open_comparison(Path(folder))


def _about(found: ComparedFolder) -> None:
    info = found.info
    simulated(info.simulated)
    st.markdown(f"**{plain(info.words)}**")
    told = (
        f"{info.target}: {info.n_cases} cases of {info.n_patients} patients; {', '.join(info.modalities)}; "
        f"{info.repeats} repeats of one split by patient, {info.test_share:.0%} tested, {info.folds} inner folds. "
        "95 % by patient over all repeats; differences are paired."
    )
    st.markdown(plain(told))
    for leak in info.accepted_leaks:
        st.warning(plain(f"In spite of an error of the checks, knowingly: {leak}"), icon=":material/report:")
    best = info.best_elsewhere
    if best and {"chosen", "minus_ours", "minus_ours_low", "minus_ours_high"} <= set(best):
        (span,) = spans(pd.DataFrame([best]), "minus_ours")
        st.markdown(plain(f"What was best on the other repeats ({best['chosen']}) − the default: {span} AUROC."))
    told_rule()


def _methods(methods: pd.DataFrame, name: str) -> None:
    st.markdown("##### All test cases, as they are")
    shown = pd.DataFrame({"Method": methods["method"], "Patients": methods["n_patients"].astype(int)})
    for column, head in METRICS.items():
        if f"{column}_low" in methods:
            shown[head] = spans(methods, column)
    table(shown, f"{name}-methods", "Every method with its figures", height=420, raw=methods)
    with st.expander("AUROC of every method, drawn"):
        forest(methods, "method", "auroc", "auroc_low", "auroc_high", "AUROC")


def _missing(found: ComparedFolder, name: str) -> None:
    """As evidence goes missing."""
    curves, areas = found.tables["curves"], found.tables["areas"]
    if curves.empty:
        return
    st.markdown("##### As evidence goes missing")
    kinds = list(curves["dropped"].unique())
    kind = st.segmented_control("What is dropped", kinds, default=kinds[0], key=f"dropped-{name}") or kinds[0]
    ranked = areas[areas["dropped"] == kind].sort_values("area", ascending=False)
    names = list(ranked["method"])
    first = [m for m in FIRST if m in names]
    preset = [*first, *(m for m in names if m not in first and not m.startswith("single:"))][:DRAWN]
    picked = st.multiselect("Methods drawn", names, default=preset, key=f"methods-{name}-{kind}")
    part = curves[(curves["dropped"] == kind) & curves["method"].isin(picked)]
    lines(part, ("rate", f"share of {kind} dropped"), ("value", "AUROC"), "method", ends=("low", "high"))
    shown = pd.DataFrame({"Method": ranked["method"], "Mean AUROC, 0 to 90 %": spans(ranked, "area")})
    if "ours_minus_low" in ranked:
        shown["Default − it"] = spans(ranked, "ours_minus")
    table(shown, f"{name}-areas-{kind}", "Mean AUROC over missing rates", height=300, raw=ranked)


def _per_pattern(found: ComparedFolder, name: str) -> None:
    st.markdown("##### Per pattern")
    which = {"by_pattern": "Cases as they are", "by_subset": "All cases that have it, masked down to it"}
    source = st.segmented_control("Rows", list(which), default="by_pattern", format_func=which.__getitem__, key="rows")
    rows = found.tables[source or "by_pattern"]
    if rows.empty:
        return
    patterns = list(dict.fromkeys(rows["pattern"].fillna("")))
    default = patterns.index("all") if "all" in patterns else 0
    pattern = st.selectbox("Evidence", patterns, index=default, format_func=in_words, key=f"pattern-{source}")
    mine = withheld_rows(rows[rows["pattern"].fillna("") == pattern]).sort_values("auroc", ascending=False)
    if mine["withheld"].iloc[0]:
        st.markdown(plain(f"No figure: {mine['withheld'].iloc[0]}."))
        return
    shown = pd.DataFrame({"Method": mine["method"], "Patients": mine["n_patients"]})
    for column, head in METRICS.items():
        if f"{column}_low" in mine:
            shown[head] = spans(mine, column)
    table(shown, f"{name}-{source}-{pattern}", "Figures of every method for this evidence", height=360, raw=mine)


def _costs(methods: pd.DataFrame, name: str) -> None:
    """What each costs, and what could not be done."""
    heads = {"seconds": "Seconds to fit", "seconds_answering": "Seconds to answer", "peak_mib": "Peak MiB above"}
    heads |= {"parameters": "Parameters", "multiply_adds": "Multiply-adds a case"}
    done = methods[methods["auroc"].notna()]
    kept = {head: done[column].round(2) for column, head in heads.items() if column in done}
    if kept:
        st.markdown("##### Cost")
        table(pd.DataFrame({"Method": done["method"], **kept}), f"{name}-cost", "Cost of every method", height=300)
    refused = methods[methods["refused"].fillna("") != ""]
    if len(refused):
        st.markdown("##### Could not do this task")
        table(refused[["method", "refused"]].rename(columns=str.capitalize), f"{name}-refused", "Refused methods")


main()
