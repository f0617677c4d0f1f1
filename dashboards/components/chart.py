"""Draw a chart: the one place where one is handed to Streamlit, which gives its words and lines their colours.

In:  a chart of Altair, and words for who cannot see it. Out: it, as wide as its place.

Words are coloured in the browser, by the ground that the chart has there. The server does not choose: when a reader
turns a page from dark to light, Streamlit draws its charts again in the browser alone.
"""

from itertools import pairwise
from typing import Any, Final

import altair as alt
import pandas as pd
import streamlit as st

from components.colours import KINDS, POINT, QUIET, WORDS_ON_DARK, WORDS_ON_LIGHT

MIDDLE: Final = 0.18
"""Relative luminance from which black has more contrast than white (WCAG 2.2: (1.05 · 0.05) ** 0.5 − 0.05)."""
WORDS: Final[dict[str, Any]] = {"expr": f"luminance(background) > {MIDDLE} ? '{WORDS_ON_LIGHT}' : '{WORDS_ON_DARK}'"}
"""`background` is Vega's own signal; Streamlit sets it to the ground of the theme that the browser shows."""
LOOK: Final[dict[str, Any]] = {
    # Without flush, words at the ends of an axis stand at their line or row, not beside it.
    "axis": {"labelColor": WORDS, "titleColor": WORDS, "labelFlush": False},
    "legend": {"labelColor": WORDS, "titleColor": WORDS},
    "header": {"labelColor": WORDS, "titleColor": WORDS},
    "title": {"color": WORDS, "subtitleColor": WORDS},
    "text": {"color": WORDS},
    "rule": {"color": QUIET},
    "range": {"category": list(KINDS)},
}
ROUND_PX: Final = {"left": 8, "right": 12, "top": 8, "bottom": 20}
"""Streamlit leaves none but below: the first letters of long words would be cut."""
APART: Final = "\u2003"
"""Between parts of a label: a browser makes one of several common spaces."""
ROW_PX: Final = 22
AXIS_PX: Final = 80
TICKS: Final = 8
ASIDE: Final = 0.6
"""Part of the way to the next place that intervals take, side by side, at each."""


def draw(chart: alt.Chart | alt.LayerChart, words: str) -> None:
    """Draw it.

    Args:
        chart: Without a configuration of its own.
        words: What a screen reader says of it.
    """
    st.altair_chart(chart.properties(padding=ROUND_PX).configure(**LOOK), width="stretch", alt=words)


def forest(
    frame: pd.DataFrame, row: str, value: str, low: str, high: str, title: str, *, promised: float | None = None
) -> None:
    """One point with its interval per row, in the order of the rows; a dashed line where something was promised."""
    known = frame[frame[value].notna()]
    if known.empty:
        return
    base = alt.Chart(known).encode(
        y=alt.Y(f"{row}:N", sort=None, title=None, axis=alt.Axis(labelLimit=320, labelOverlap=False))
    )
    x = alt.X(f"{value}:Q", title=title, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=TICKS))
    points = base.mark_point(filled=True, size=70, opacity=1, color=POINT).encode(
        x=x, tooltip=[row, *(alt.Tooltip(f"{c}:Q", format=".3f") for c in (value, low, high))]
    )
    bars = base.mark_rule(strokeWidth=2, color=POINT).encode(x=alt.X(f"{low}:Q"), x2=f"{high}:Q")
    line = alt.Chart(pd.DataFrame({value: [] if promised is None else [promised]}))
    drawn = alt.layer(line.mark_rule(strokeDash=[4, 4]).encode(x=f"{value}:Q"), bars, points)
    draw(drawn.properties(height=ROW_PX * len(known) + AXIS_PX), f"{title}, one row for each of {len(known)}")


def lines(
    frame: pd.DataFrame,
    x: tuple[str, str],
    y: tuple[str, str],
    by: str,
    *,
    ends: tuple[str, str] | None = None,
    zero: bool = False,
) -> None:
    """One line per group, with its interval at every place where there are ends.

    Args:
        frame: Rows.
        x: Column and title.
        y: Column and title.
        by: Column of the groups.
        ends: Columns of the interval.
        zero: Whether the axis begins at 0.
    """
    if frame.empty:
        return
    names = list(frame[by].unique())
    shown = frame.assign(at=frame[x[0]] if ends is None else beside(frame, x[0], by))
    across = alt.X("at:Q", title=x[1])
    if ends is not None:  # ticks where intervals stand, and none beyond what there can be
        places = sorted(frame[x[0]].unique())
        across = (
            across.title(f"{x[1]}; 95 % intervals side by side")
            .scale(nice=False, zero=False, padding=ROW_PX)
            .axis(values=places)
        )
    legend = alt.Legend(orient="bottom", labelLimit=260, columns=4, symbolType="stroke", symbolSize=500)
    told = [by, *(alt.Tooltip(f"{c}:Q", format=".3f") for c in (x[0], y[0], *(ends or ())))]
    base = alt.Chart(shown).encode(
        x=across, color=alt.Color(f"{by}:N", title=None, sort=names, legend=legend), tooltip=told
    )
    scale = alt.Scale(zero=zero)
    drawn = base.mark_line(strokeWidth=2).encode(
        y=alt.Y(f"{y[0]}:Q", title=y[1], scale=scale),
        strokeDash=alt.StrokeDash(f"{by}:N", title=None, sort=names, legend=legend),
    )
    if ends is not None:
        bars = base.mark_rule(strokeWidth=1).encode(y=alt.Y(f"{ends[0]}:Q", title=y[1], scale=scale), y2=f"{ends[1]}:Q")
        drawn = alt.layer(bars, drawn)
    draw(drawn.properties(height=440), f"{y[1]} by {x[1]}, one line for each of {', '.join(map(str, names))}")


def beside(frame: pd.DataFrame, x: str, by: str) -> pd.Series:
    """Places on the x axis of rows whose groups would hide one another at the same place: one beside the other."""
    places = sorted(frame[x].unique())
    nearest = min((after - one for one, after in pairwise(places)), default=1.0)
    names = list(frame[by].unique())
    step = ASIDE * nearest / max(len(names), 1)
    return frame[x] + step * (frame[by].map(names.index) - (len(names) - 1) / 2)
