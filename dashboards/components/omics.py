"""Show a sample of omics: the features that are most unusual among the samples of its matrix, and any one by its id.

In:  an `OmicsSample`. Out: a bar chart and a table.

Unusual is meant against the other samples of the same file, on the scale on which samples are compared; it says nothing
of what a model looked at. A sample that lies alone is shown by its values only.
"""

from typing import Final

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from clinic_mm.signals import OmicsSample
from clinic_mm.sources.omics.declared import scales
from clinic_mm.sources.omics.scales import comparable
from components.chart import draw
from components.colours import AWAY, TOWARDS
from components.grid import held_px
from components.plain import plain

SHOWN: Final = 20
FOUND: Final = 200
FEWEST_PEERS: Final = 10
"""With fewer samples no spread is worth the name."""
ROW_PX: Final = 19
QUIET: Final = {"labelLimit": 180, "ticks": False, "domain": False}


@st.fragment
def view_omics(sample: OmicsSample, key: str) -> None:
    """The tile of one sample."""
    known = int(np.isfinite(sample.values).sum())
    what = f"{known} of {len(sample.features)} features measured · {scales()[sample.scale]}"
    frame = deviations(sample)
    left, right = st.columns([3, 2])
    with left:
        if "Deviation" in frame:
            assert sample.peers is not None
            st.markdown(f"Most unusual of {sample.peers.count} samples of its matrix")
            shown = frame.head(SHOWN)
            draw(_bars(shown), f"The {len(shown)} most unusual features; the table has them all")
        else:
            st.markdown("There are too few other samples to say what is unusual: the largest values")
    with right:
        asked = st.text_input("Feature", key=f"{key}-feature", placeholder="Part of an id")
        held = frame["Feature"].str.contains(asked.strip(), case=False, regex=False)
        found = frame[held].head(FOUND)
        tall = held_px(len(found), SHOWN * ROW_PX)
        st.dataframe(found, hide_index=True, height=tall, column_config=_columns())
    st.caption(plain(what))


def deviations(sample: OmicsSample) -> pd.DataFrame:
    """Features with value, mean of the matrix and deviation in standard deviations, the most unusual first.

    Without enough samples around it: features and values, the largest first.
    """
    frame = pd.DataFrame({"Feature": sample.features, "Value": sample.values})
    if sample.peers is None or sample.peers.count < FEWEST_PEERS:
        return frame.sort_values("Value", ascending=False, kind="stable", na_position="last", ignore_index=True)
    mean, spread = sample.peers.typical()
    compared = comparable(sample.values, sample.scale)
    with np.errstate(divide="ignore", invalid="ignore"):
        frame["Deviation"] = np.where(spread > 1e-6, (compared - mean) / spread, np.nan)
    frame["Compared"], frame["Mean"] = compared, mean
    order = frame["Deviation"].abs().sort_values(ascending=False, kind="stable", na_position="last").index
    return frame.loc[order].reset_index(drop=True)


def _bars(frame: pd.DataFrame) -> alt.Chart:
    x = alt.X("Deviation:Q", title="standard deviations from the mean of its matrix", axis=alt.Axis(grid=False))
    y = alt.Y("Feature:N", sort=None, title=None, axis=alt.Axis(labelOverlap=False, **QUIET))
    colour = alt.condition(alt.datum.Deviation > 0, alt.value(TOWARDS), alt.value(AWAY))
    tips = [alt.Tooltip("Feature:N"), alt.Tooltip("Value:Q", format=".4g"), alt.Tooltip("Deviation:Q", format="+.1f")]
    chart = alt.Chart(frame).mark_bar(height=ROW_PX - 5).encode(x=x, y=y, color=colour, tooltip=tips)
    return chart.properties(height=ROW_PX * len(frame) + 40)


def _columns() -> dict[str, object]:
    return {
        "Feature": st.column_config.TextColumn(width="medium"),
        "Value": st.column_config.NumberColumn(format="%.4g", width="small", help="As the file has it"),
        "Deviation": st.column_config.NumberColumn(format="%+.1f", width="small", help="In standard deviations"),
        "Compared": st.column_config.NumberColumn(format="%.2f", width="small", help="On the scale of comparison"),
        "Mean": st.column_config.NumberColumn(format="%.2f", width="small", help="Of the matrix, on the same scale"),
    }
