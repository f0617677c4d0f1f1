"""Drift: what a watch found, score by score, and what it hides.

In:  a folder that `clinic-mm monitor` wrote. Out: its alarms with their change and chance, all scores with what they
were ranked among. Nothing is judged anew here.
"""

from typing import Final

import altair as alt
import pandas as pd
import streamlit as st

import guard
from clinic_mm.evaluate.monitor.state import MonitorState, read_state
from clinic_mm.evaluate.monitor.words import (
    LEGEND,
    about,
    headline,
    known_about,
    outcomes_in_words,
    place_in_words,
    quiet,
)
from components.banner import HIDES
from components.chart import draw
from components.colours import ALARM, POINT
from components.opened import opened_run
from components.plain import plain
from components.science import chosen, simulated, table

DRAWN: Final = 20


def main() -> None:
    """Draw the page."""
    guard.need("see_drift")
    st.header("Drift")
    asked = chosen("monitor", "Watch")
    if asked is None:
        return
    name, folder = asked
    state = read_state(folder)
    _head(state)
    _alarms(state, name)
    _scores(state, name)


def _head(state: MonitorState) -> None:
    simulated(state.simulated)
    st.markdown(f"**{plain(headline(state))}**\\. {plain(about(state))}")
    if state.model_hash != opened_run().info.model.hash:
        st.warning(
            "It is of another model than the run that is served, and hides nothing\\.", icon=":material/difference:"
        )
    if not state.stops:
        st.markdown(plain(quiet(state)))
    for stop in state.stops:
        told = f"{stop.say}, since {place_in_words(stop.since)}: {HIDES[stop.hide]}. To do: {stop.mend}."
        (st.warning if stop.hide == "nothing" else st.error)(plain(told), icon=":material/visibility_off:")
    st.caption(plain(f"{outcomes_in_words(state.outcomes)}."))


def _alarms(state: MonitorState, name: str) -> None:
    if not state.alarms:
        return
    st.markdown("##### Alarms")
    rows = [
        {
            "Of": known_about(one.about, one.name),
            "What": one.what,
            "How it changed": one.change,
            "Began, most probably": place_in_words(one.since),
            "Sure since": place_in_words(one.at),
            "By chance at most once in (cases)": one.chance_cases,
        }
        for one in state.alarms
    ]
    table(pd.DataFrame(rows), f"{name}-alarms", "Alarms of this watch")


def _scores(state: MonitorState, name: str) -> None:
    if not state.detectors:
        return
    st.markdown("##### What is watched")
    st.caption(
        plain(
            f"All {len(state.detectors)} scores together give a false alarm at most once in "
            f"{state.cases_between_false_alarms:,} cases on average while nothing changes. An alarm is given at 1."
        )
    )
    ranked = sorted(state.detectors, key=lambda one: -one.evidence)
    shown = pd.DataFrame(
        {
            "Of": [known_about(one.about, one.name) for one in ranked],
            "What": [one.what for one in ranked],
            "Cases judged": [one.seen for one in ranked],
            "Reference values": [str(one.reference) if one.reference else "the model's promise" for one in ranked],
            "Evidence": [one.evidence for one in ranked],
        }
    )
    _drawn(shown.head(DRAWN))
    st.caption(plain(LEGEND))
    told = shown.assign(Evidence=[f"{one:.2g}" for one in shown["Evidence"]])
    table(told, f"{name}-scores", "Every watched score", height=420, raw=shown)


def _drawn(rows: pd.DataFrame) -> None:
    """Evidence spans many powers of ten: small is as small as it is, and 1 is the alarm."""
    drawn = rows.assign(
        score=rows["What"] + " of " + rows["Of"],
        shown=rows["Evidence"].clip(1e-6, 1e6),
        alarm=["alarm" if one >= 1 else "no alarm" for one in rows["Evidence"]],
    )
    most = max(10.0, float(drawn["shown"].max()))
    scale = alt.Scale(type="log", domain=[1e-6, most])
    tens = alt.Axis(values=[10.0**at for at in range(-6, 7) if 10.0**at <= most])
    domain = ["no alarm", "alarm"]
    points = (
        alt.Chart(drawn)
        .mark_point(filled=True, size=80, opacity=1)
        .encode(
            x=alt.X("shown:Q", scale=scale, axis=tens, title="evidence, logarithmic; alarm at 1"),
            y=alt.Y("score:N", sort=None, title=None, axis=alt.Axis(labelLimit=320)),
            shape=alt.Shape(
                "alarm:N",
                title=None,
                scale=alt.Scale(domain=domain, range=["circle", "diamond"]),
                legend=alt.Legend(orient="bottom"),
            ),
            color=alt.Color("alarm:N", title=None, scale=alt.Scale(domain=domain, range=[POINT, ALARM])),
            tooltip=["score", "Cases judged", "Reference values", alt.Tooltip("Evidence:Q", format=".2g")],
        )
    )
    rule = alt.Chart(pd.DataFrame({"at": [1.0]})).mark_rule(strokeDash=[4, 4]).encode(x="at:Q")
    draw(
        alt.layer(rule, points).properties(height=22 * len(drawn) + 70),
        f"Evidence of the {len(drawn)} scores with most of it; the table has them all",
    )


main()
