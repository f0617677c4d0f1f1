"""Show a patient record: who (age, sex), then the facts with values, units and times, and one value over time.

In:  a `PatientRecord` (RECORD_COLUMNS). Out: a table and a chart.

Shows no source id, no patient id and no birth date: the age at the decision is enough.
"""

from datetime import datetime
from typing import Final

import altair as alt
import pandas as pd
import streamlit as st

from clinic_mm.report.run import Within
from clinic_mm.report.words import unit_in_words
from clinic_mm.signals import PatientRecord
from clinic_mm.times import parse_iso
from components.plain import plain
from components.within import feature_bars

HIDDEN: Final = frozenset({"birth_date"})
DAYS_PER_YEAR: Final = 365.2425
TABLE_PX: Final = 380


@st.fragment
def view_record(record: PatientRecord, key: str, at: datetime | None, within: Within | None = None) -> None:
    """The tile of one record, as known at the decision, and what its expert rests on."""
    if within is not None:
        feature_bars(within, record)
    who = demographics(record.rows, at)
    facts = facts_shown(record.rows)
    st.markdown(f"{plain(who) or 'Age and sex not stated'} · {len(facts)} facts")
    left, right = st.columns([3, 2])
    with left:
        st.dataframe(facts, hide_index=True, height=TABLE_PX, column_config=_columns())
    with right:
        _over_time(record.rows, key)


def demographics(rows: pd.DataFrame, at: datetime | None) -> str:
    """`67 years, female`, of what is stated."""
    said = {str(row["code"]): row for _, row in rows[rows["category"] == "demographic"].iterrows()}
    age = _age(said, at)
    sex = str(said["sex"]["text"]) if "sex" in said else ""
    return ", ".join(part for part in (age, sex) if part)


def facts_shown(rows: pd.DataFrame) -> pd.DataFrame:
    """What stands in the table, newest first."""
    kept = rows[(rows["category"] != "demographic") & ~rows["code"].isin(HIDDEN)]
    kept = kept.sort_values("time", ascending=False, na_position="last", kind="stable")
    value = [_value(number, text) for number, text in zip(kept["value"], kept["text"], strict=True)]
    return pd.DataFrame(
        {
            "Time (UTC)": kept["time"],
            "Fact": kept["display"].where(kept["display"] != "", kept["code"]),
            "Value": value,
            "Unit": kept["unit"].map(unit_in_words),
            "Kind": kept["category"],
            "Code": kept["code"],
        }
    ).reset_index(drop=True)


def _age(said: dict[str, pd.Series], at: datetime | None) -> str:
    if "age" in said and pd.notna(said["age"]["value"]):
        return f"{said['age']['value']:.0f} years"
    born = parse_iso(str(said["birth_date"]["text"])) if "birth_date" in said else None
    return f"{int((at - born).days / DAYS_PER_YEAR)} years" if born and at else ""


def _value(number: float, text: str) -> str:
    return text if pd.isna(number) else f"{number:.4g}"


def _over_time(rows: pd.DataFrame, key: str) -> None:
    series = rows[(rows["category"] == "observation") & rows["value"].notna() & rows["time"].notna()]
    if series.empty:
        st.caption("No dated numbers to draw")
        return
    names = series["display"].where(series["display"] != "", series["code"])
    chosen = st.selectbox("Over time", list(names.value_counts().index), key=f"{key}-series")
    mine = series[names == chosen]
    unit = unit_in_words(next((u for u in mine["unit"] if u), ""))
    drawn = mine[["time", "value"]].assign(at=mine["time"].dt.strftime("%Y-%m-%d %H:%M"))
    axis = alt.Axis(grid=False, tickCount=4, format="%d %b %H:%M")
    x = alt.X("time:T", title="UTC", scale=alt.Scale(type="utc"), axis=axis)
    y = alt.Y("value:Q", title=unit or "value", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5))
    tips = [alt.Tooltip("at:N", title="UTC"), alt.Tooltip("value:Q", title=unit or "value")]
    line = alt.Chart(drawn).mark_line(point=True, color="#6cb2e8")
    st.altair_chart(line.encode(x=x, y=y, tooltip=tips).properties(height=TABLE_PX - 90), width="stretch")


def _columns() -> dict[str, object]:
    return {
        "Time (UTC)": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm", width=130),
        "Fact": st.column_config.TextColumn(width=250),
        "Value": st.column_config.TextColumn(width=80, alignment="right"),
        "Unit": st.column_config.TextColumn(width=80),
    }
