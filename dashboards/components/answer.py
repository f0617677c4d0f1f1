"""The answer of one case: in words, as a number, what it rests on, and what it would be with less.

In:  a stored Prediction. Out: the upper half of the case page.

No model runs: switched-off modalities are looked up among the stored subsets.
"""

import altair as alt
import pandas as pd
import streamlit as st

from clinic_mm.report.advice_words import advice_lines, advice_rows
from clinic_mm.report.run import Prediction
from clinic_mm.report.within_words import pair_lines
from clinic_mm.report.words import (
    NO_SHARES,
    label_of,
    missing_in_words,
    named_class,
    ordered_shares,
    probability,
    set_basis,
    set_in_words,
    share_in_words,
    share_unit,
    signed,
)
from components.chart import APART, draw
from components.colours import AWAY, TOWARDS
from components.plain import plain

ROW_PX = 34
BAR = " "
DOUBLES = ": \\+0\\.7 doubles the odds, −0\\.7 halves them"

Labels = dict[str, str]


def headline(prediction: Prediction) -> None:
    """The answer first: words and number, or why there is none."""
    if prediction.withheld:
        st.subheader("The AI's answer is hidden")
        st.markdown(plain(prediction.withheld))
        return
    if prediction.abstained:
        st.subheader(f"No answer for {plain(prediction.target)}")
        reasons = [reason.why for reason in prediction.abstentions] or [prediction.abstained]
        lines = [f"{plain(reason.rstrip('.'))}\\." for reason in reasons]
        st.markdown(lines[0] if len(lines) == 1 else _list(lines))
        return
    name = named_class(prediction)
    number = probability(prediction.probability_of(name))
    st.metric(f"Probability of {plain(name)} ({plain(prediction.target)})", number)
    st.markdown(plain(set_in_words(prediction)))
    st.caption(plain(set_basis(prediction.prediction_set)))
    if len(prediction.classes) > 2:
        _class_bars(prediction)


def remarks(prediction: Prediction, labels: Labels) -> None:
    """What is missing and why, quality flags, notices."""
    st.markdown("##### Missing")
    missing = sorted(prediction.missing, key=lambda one: _place(one.modality, labels))
    lines = [f"**{plain(label_of(m.modality, labels))}**: {plain(missing_in_words(m))}" for m in missing]
    st.markdown(_list(lines) or "Nothing is missing.")
    if prediction.flags:
        st.markdown("##### Quality flags")
        flags = prediction.flags
        st.markdown(_list([f"**{plain(label_of(f.modality, labels))}**: {plain(f.flag.why)}" for f in flags]))
    if prediction.notices:
        st.markdown("##### To know")
        st.markdown(_list([plain(notice) for notice in prediction.notices]))


def further(prediction: Prediction, labels: Labels) -> None:
    """What each absent test could change, or why nothing is said of it; nothing where nothing is absent."""
    rows = [f"**{plain(label)}** {plain(words)}" for label, words in advice_rows(prediction, labels)]
    lines = rows or [plain(line) for line in advice_lines(prediction, labels)]
    if lines:
        st.markdown("##### What further tests could change")
        st.markdown(_list(lines))


def shares(prediction: Prediction, labels: Labels) -> None:
    """Each present modality's Shapley share as a bar from zero."""
    st.markdown("##### What the answer rests on")
    if not prediction.shapley:
        st.markdown("Nothing: no modality was usable.")
        return
    if prediction.abstained:
        st.markdown(f"{NO_SHARES.capitalize()}\\.")
        return
    rows = [
        {
            "modality": label_of(name, labels),
            "share": share,
            "text": signed(share),
            "words": share_in_words(prediction, share),
        }
        for name, share in ordered_shares(prediction)
    ]
    said = ", ".join(f"{row['modality']} {row['text']}" for row in rows)
    draw(_bars(pd.DataFrame(rows), share_unit(prediction)), f"Shares in {share_unit(prediction)}: {said}")
    how = "exact" if prediction.shapley_exact else "sampled"
    name, doubles = plain(named_class(prediction)), DOUBLES if prediction.kind == "binary" else ""
    st.caption(
        f"How far each modality moves the answer from the base rate: right of the line towards {name}, left away from "
        f"it\\. Shapley shares ({how}), in {plain(share_unit(prediction))}{doubles}\\."
    )
    if pairs := pair_lines(prediction, labels):
        st.markdown(_list([plain(line) for line in pairs]))


@st.fragment
def what_if(prediction: Prediction, labels: Labels) -> None:
    """Switch modalities off and read the stored probability of the rest."""
    if not prediction.pattern or prediction.abstained:
        return
    st.markdown("##### With less evidence")
    names = sorted(prediction.pattern, key=lambda name: _place(name, labels))
    with st.container(horizontal=True):
        on = [name for name in names if _toggle(name, prediction, labels)]
    name = named_class(prediction)
    found = prediction.subsets.get("+".join(sorted(on)))
    if found is None:
        st.markdown("This combination was not stored\\.")
        return
    number = probability(found[prediction.classes.index(name)])
    whole = probability(prediction.probability_of(name))
    if len(on) == len(prediction.pattern):
        st.markdown(f"All present evidence: probability of {plain(name)} **{number}**")
    else:
        rest = ", ".join(plain(label_of(m, labels)) for m in on) or "no evidence, the base rate"
        st.markdown(f"With {rest}: probability of {plain(name)} **{number}** (all: {whole})")


def _place(name: str, labels: Labels) -> int:
    """Where a modality stands in the task."""
    return list(labels).index(name) if name in labels else len(labels)


def _toggle(name: str, prediction: Prediction, labels: Labels) -> bool:
    return st.toggle(plain(label_of(name, labels)), value=True, key=f"use-{prediction.case_key}-{name}")


def _bars(frame: pd.DataFrame, unit: str) -> alt.LayerChart:
    reach = max(1.0, float(frame["share"].abs().max()) * 1.35)
    x = alt.X("share:Q", title=unit, scale=alt.Scale(domain=[-reach, reach]), axis=alt.Axis(grid=False, tickCount=5))
    frame = frame.assign(label=frame["modality"] + APART + frame["text"])
    y = alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=240, ticks=False, domain=False))
    colour = alt.condition(alt.datum.share > 0, alt.value(TOWARDS), alt.value(AWAY))
    tips = [alt.Tooltip("modality:N", title="Modality"), alt.Tooltip("words:N", title="Share")]
    bars = alt.Chart(frame).mark_bar(height=16).encode(x=x, y=y, color=colour, tooltip=tips)
    zero = alt.Chart(pd.DataFrame({"share": [0.0]})).mark_rule().encode(x="share:Q")
    return alt.layer(bars, zero).properties(height=ROW_PX * len(frame) + 40)


def _class_bars(prediction: Prediction) -> None:
    """The number as it is written everywhere, beside a bar that says none of its own."""
    told = [probability(value) for value in prediction.probabilities]
    frame = pd.DataFrame({"Class": prediction.classes, "Probability": told, BAR: prediction.probabilities})
    column = st.column_config.ProgressColumn(BAR, format=" ", min_value=0.0, max_value=1.0)
    ranked = frame.sort_values(BAR, ascending=False)
    st.dataframe(ranked, hide_index=True, column_config={BAR: column})


def _list(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
