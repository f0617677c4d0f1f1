"""The worklist: all cases of the run, the most probable first; a click opens one."""

import streamlit as st

from clinic_mm.report.run import RunInfo
from components.ahead import MOST, ahead
from components.opened import opened_run, worklist
from components.plain import plain
from components.ranking import ABSTAINED, ANSWERED, ANY, filtered, pattern_in_words, ranked, shown, without_answer

ROW_PX, MOST_PX = 35, 900


def main() -> None:
    """Draw the page."""
    info, frame = opened_run().info, worklist()
    st.header(f"Worklist: {plain(info.target)}")
    _counts(info, int(without_answer(frame).sum()), int((frame["missing"] != "").sum()))
    if frame.empty:
        st.markdown("This run has no answered cases\\. *About this run* says what was skipped\\.")
        return
    one, two, three, four = st.columns([2, 2, 2, 2])
    name = info.classes[1]
    if len(info.classes) > 2:
        name = four.selectbox("Rank by probability of", info.classes, index=1)
    text = one.text_input("Case key contains")
    counts = frame["pattern"].value_counts()
    pattern = two.selectbox(
        "Evidence present",
        [None, *counts.index],
        format_func=lambda p: "Any" if p is None else f"{pattern_in_words(p, info)} ({counts[p]})",
    )
    answer = three.segmented_control("Answer", [ANY, ANSWERED, ABSTAINED], default=ANY, required=True)
    rows = filtered(ranked(frame, info.classes.index(name)), pattern=pattern, answer=str(answer), text=text)
    st.caption(
        f"{len(rows)} of {len(frame)} cases, highest probability of {plain(name)} first\\. Click a row to open it\\."
    )
    table = shown(rows, info)
    chosen = st.dataframe(
        table,
        hide_index=True,
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        key="worklist-table",
        height=min(MOST_PX, ROW_PX * (len(table) + 1) + 3),
        column_config=_columns(name),
    )
    ahead(list(rows["case_key"][:MOST]), "ahead-worklist")
    picked = [*chosen["selection"]["rows"], *(row for row, _ in chosen["selection"]["cells"])]
    if picked:
        st.switch_page("views/case.py", query_params={"case": str(table["Case"].iloc[picked[0]])})


def _counts(info: RunInfo, no_answer: int, incomplete: int) -> None:
    figures = {
        "Cases": info.counts.done,
        "Without an answer": no_answer,
        "With missing evidence": incomplete,
        "Skipped": info.counts.skipped,
        "Failed": info.counts.failed,
    }
    for column, (label, figure) in zip(st.columns(len(figures)), figures.items(), strict=True):
        column.metric(label, f"{figure:,}")


def _columns(name: str) -> dict[str, object]:
    text = st.column_config.TextColumn
    return {
        "Case": text(width=140),
        "Probability": st.column_config.ProgressColumn(
            f"Probability of {name}", format="%.2f", min_value=0.0, max_value=1.0, width=180
        ),
        "Answer set": text(width=150, help="Classes that cannot be ruled out at the level of the run"),
        "Evidence": text(width=290),
        "Missing": text(width=270),
        "Flags": text(width=80),
    }


main()
