"""Reliability on unseen patients, per pattern: discrimination, calibration, coverage; silence; groups.

In:  a folder that `clinic-mm evaluate` wrote. Out: its figures, each with n and interval. Nothing is computed anew.
"""

from pathlib import Path
from typing import Final

import altair as alt
import pandas as pd
import streamlit as st

import guard
from clinic_mm.evaluate.read_back import Evaluated, evaluation_files, open_evaluation, stamp, withheld_rows
from components.chart import draw, forest, lines
from components.colours import POINT, QUIET
from components.opened import opened_run
from components.plain import plain
from components.science import (
    choice,
    chosen,
    figures,
    in_words,
    numbers,
    simulated,
    spans,
    table,
    told_rule,
)

ROWS: Final = {"native": "as they are", "masked": "answered as if they had only this"}
FEWEST_BIN: Final = 10
ORDERS: Final = {"confidence": "surest first", "perfect": "perfect order", "random": "random order"}
LOSSES: Final = {"error": "share of wrong decisions", "brier": "Brier score"}


def main() -> None:
    """Draw the page."""
    guard.need("explore")
    st.header("Reliability and coverage")
    asked = chosen("evaluation", "Evaluation")
    if asked is None:
        return
    name, folder = asked
    found = _read(str(folder), stamp(folder, evaluation_files()))
    _about(found)
    _patterns(found, name)
    _calibration(found, name)
    _silence(found, name)
    _groups(found, name)


@st.cache_resource(max_entries=8, show_spinner=False)
def _read(folder: str, stamp_: str) -> Evaluated:
    return open_evaluation(Path(folder))


def _about(found: Evaluated) -> None:
    info = found.info
    simulated(info.simulated)
    told = f"{info.n_cases} cases of {info.n_patients} patients that the model {info.model[:12]} was not trained on."
    st.markdown(plain(told))
    if info.model != opened_run().info.model.hash:
        st.warning("It is of another model than the run that is served\\.", icon=":material/difference:")
    told_rule()


def _patterns(found: Evaluated, name: str) -> None:
    """By what was available, as it was."""
    st.markdown("##### Per availability pattern")
    rows = found.patterns()
    level = found.tables["by_pattern"]["level"].dropna()
    promised = f"Sets promise {level.iloc[0]:.0%}" if len(level) and "level" in rows else "Sets were not scored"
    asked = found.info.prediction_sets
    if asked is not None:
        promised = f"Sets promise {asked.level:.0%}"
    st.caption(plain(f"{promised}; intervals hold 95 % by patient, those of coverage are exact."))
    shown = pd.DataFrame({"Evidence": rows["pattern"].map(in_words), "Patients": rows["n_patients"]})
    shown["Rarest class"] = rows["n_rarest"]
    shown["AUROC"] = figures(rows, "auroc")
    for column, head in (("brier", "Brier"), ("excess_ece", "Excess ECE"), ("coverage", "Coverage")):
        if f"{column}_low" in rows:
            shown[head] = spans(rows, column)
    if "set_size" in rows:
        shown["Set size"] = numbers(rows["set_size"], 2)
    table(shown, f"{name}-by-pattern", "Figures per availability pattern", raw=rows)
    _subsets(found, name, asked.level if asked else None)


def _subsets(found: Evaluated, name: str, level: float | None) -> None:
    """Every subset, all cases that have it answered as if they had no more: where native patterns are rare."""
    masked = found.tables["by_subset"].assign(n_patients=lambda t: t["n_masked"])
    if masked.empty:
        return
    rows = withheld_rows(masked.filter(regex="^(pattern|n_patients|masked|limit)"))
    st.markdown("###### Every subset: all cases that have it, answered as if they had no more")
    shown = pd.DataFrame({"Evidence": rows["pattern"].map(in_words), "Cases": rows["n_patients"]})
    shown["AUROC"] = figures(rows, "masked")
    if "masked_coverage" in rows:
        shown["Coverage"] = spans(rows, "masked_coverage")
        shown["Set size"] = numbers(rows["masked_set_size"], 2)
    table(shown, f"{name}-by-subset", "AUROC and coverage of every subset", height=320, raw=rows)
    if "masked_coverage" in rows:
        drawn = rows.assign(Evidence=rows["pattern"].map(in_words))
        _coverage(drawn, level)


def _coverage(rows: pd.DataFrame, level: float | None) -> None:
    with st.expander("Coverage of every subset, drawn"):
        title = "coverage" if level is None else f"coverage, 95 %; dashed: promised, {level:.0%}"
        ends = ("masked_coverage_low", "masked_coverage_high")
        forest(rows, "Evidence", "masked_coverage", *ends, title, promised=level)


def _calibration(found: Evaluated, name: str) -> None:
    """What was said against what was seen."""
    st.markdown("##### Calibration")
    cal = found.tables["calibration"]
    if cal.empty:
        st.markdown("This evaluation has no calibration per pattern: evaluate again\\.")
        return
    rows = withheld_rows(cal)
    shown = pd.DataFrame({"Rows": rows["rows"].map(ROWS), "Evidence": rows["pattern"].map(in_words)})
    shown = shown.assign(
        **{
            "Patients": rows["n_patients"],
            "Excess ECE": figures(rows, "excess_ece", "low", "high"),
            "Said, mean": numbers(rows["mean_said"]),
            "Seen": numbers(rows["mean_seen"]),
        }
    )
    table(shown, f"{name}-calibration", "Calibration per pattern", height=240, raw=rows)
    keys = [f"{r}|{p}" for r, p in zip(cal["rows"], cal["pattern"], strict=True)]
    key = choice("Diagram of", keys, _scope, f"reliability-of-{name}")
    if key is not None:
        kind, _, pattern = key.partition("|")
        bins = found.tables["reliability"]
        _diagram(bins[(bins["rows"] == kind) & (bins["pattern"] == pattern)], f"{name}-bins")


def _scope(key: str) -> str:
    kind, _, pattern = key.partition("|")
    return f"{in_words(pattern)}, {ROWS.get(kind, kind)}"


def _diagram(bins: pd.DataFrame, name: str) -> None:
    """Ten bins; one of few cases is left out, as it would tell of them."""
    kept = bins[bins["n_cases"] >= FEWEST_BIN]
    ends = alt.Scale(domain=[0, 1])
    line = alt.Chart(pd.DataFrame({"said": [0, 1], "seen": [0, 1]})).mark_line(strokeDash=[4, 4], color=QUIET)
    base = alt.Chart(kept).encode(
        x=alt.X("said:Q", title="predicted probability", scale=ends, axis=alt.Axis(tickCount=5))
    )
    bars = base.mark_rule(strokeWidth=2, color=POINT).encode(
        y=alt.Y("low:Q", title="observed frequency, 95 %", scale=ends), y2="high:Q"
    )
    points = base.mark_point(filled=True, opacity=1, color=POINT).encode(
        y=alt.Y("seen:Q", scale=ends),
        size=alt.Size("n_cases:Q", title="cases", legend=alt.Legend(orient="bottom")),
        tooltip=["n_cases", *(alt.Tooltip(f"{c}:Q", format=".3f") for c in ("said", "seen", "low", "high"))],
    )
    drawn = line.encode(x="said:Q", y="seen:Q") + bars + points
    left, right = st.columns([3, 2], gap="large")
    with left:
        draw(drawn.properties(height=420), "Observed frequency by predicted probability, with 95 % intervals")
        st.caption("Dashed: what is said is what is seen\\.")
        if len(kept) < len(bins):
            st.caption(f"{len(bins) - len(kept)} bins of fewer than {FEWEST_BIN} cases are left out\\.")
    with right:
        shown = pd.DataFrame({"Said": kept["said"].round(3), "Cases": kept["n_cases"]})
        table(shown.assign(Seen=spans(kept, "seen", "low", "high")), name, "Bins of the diagram", raw=kept)


def _silence(found: Evaluated, name: str) -> None:
    """What silence is worth."""
    curves, area = found.tables["risk_coverage"], found.tables["aurc"]
    if curves.empty or area.empty:
        return
    st.markdown("##### Risk of the answers that are given")
    rows = area.assign(Loss=area["loss"].map(LOSSES))
    shown = pd.DataFrame({"Loss": rows["Loss"], "Patients": rows["n_patients"]})
    shown["Area (AURC)"] = spans(rows, "aurc", "low", "high")
    shown = shown.assign(**{"Random order": rows["random"].round(3), "Perfect order": rows["perfect"].round(3)})
    columns = st.columns(2, gap="large")
    for at, (loss, words) in enumerate(LOSSES.items()):
        part = curves[curves["loss"] == loss]
        with columns[at]:
            lines(
                part.assign(order=part["order"].map(ORDERS)),
                ("coverage", "share of cases answered"),
                ("risk", words),
                "order",
                zero=True,
            )
    table(shown, f"{name}-aurc", "Area under the risk-coverage curve", raw=area)
    silent = found.tables["silence"].assign(n_patients=lambda t: t["n_cases"])
    reasons = withheld_rows(silent[silent["n_cases"] > 0], keep=("reason", "loss"))
    if len(reasons):
        told = pd.DataFrame({"Reason": reasons["reason"], "Loss": reasons["loss"].map(LOSSES)})
        told["Cases"] = reasons["n_patients"]
        told["Risk of the silenced − of the answered"] = figures(reasons, "difference", "low", "high")
        table(told, f"{name}-silence", "What each reason for silence does", raw=reasons)


def _groups(found: Evaluated, name: str) -> None:
    """By sex, age, site and language, as the evaluation withheld it."""
    fair = found.tables["fairness"]
    if fair.empty:
        return
    st.markdown("##### By sex, age band, site and language")
    names = [one for one in fair["figure"].dropna().unique() if one]
    figure = choice("Figure", names, str, f"fairness-{name}")
    rows = fair[(fair["figure"] == figure) | fair["withheld"].notna()].reset_index(drop=True)
    shown = pd.DataFrame({"By": rows["attribute"], "Group": rows["group"], "Patients": rows["n_patients"].astype(str)})
    shown["In the group"] = figures(rows, "value", "low", "high")
    if "difference_low" in rows:
        shown["Difference from all others"] = spans(rows, "difference")
        shown["By chance"] = numbers(rows["by_chance"])
    table(shown, f"{name}-groups", "Figures by group", raw=rows)


main()
