"""Show a patient record: who (age, sex), the facts as lanes over time, and all of them as a table.

In:  a `PatientRecord` (RECORD_COLUMNS). Out: the timeline, which shares the time cursor of the page, and a table.

Shows no source id, no patient id and no birth date: the age at the decision is enough.
"""

from datetime import datetime
from typing import Final

import pandas as pd
import streamlit as st

from clinic_mm.report.run import Within
from clinic_mm.report.words import label_of, unit_in_words
from clinic_mm.signals import PatientRecord
from clinic_mm.times import parse_iso
from clinic_mm.viewing.timeline import timeline
from components.canvas.mount import mount
from components.evidence import case_record
from components.grid import held_px
from components.keys import keymap
from components.opened import opened_run
from components.plain import plain
from components.within import feature_bars

HIDDEN: Final = frozenset({"birth_date"})
DAYS_PER_YEAR: Final = 365.2425
TABLE_PX: Final = 380


@st.fragment
def view_record(
    record: PatientRecord, key: str, at: datetime | None, within: Within | None = None, case: str = ""
) -> None:
    """The tile of one record, as known at the decision, and what its expert rests on.

    Args:
        record: All facts known at the decision.
        key: Of its widgets.
        at: The decision time.
        within: What the expert rests on, where it is stored and may be shown.
        case: Whose time cursor it shares.
    """
    if within is not None:
        feature_bars(within, record)
    who = demographics(record.rows, at)
    facts = facts_shown(record.rows)
    st.markdown(f"{plain(who) or 'Age and sex not stated'} · {len(facts)} facts")
    told = timeline(record, at, unit_in_words, studies_of(case) if case else ())
    if told["lanes"]:
        mount("timeline", f"{key}-timeline", {"keymap": keymap("timeline"), "case": case, **told}, style="timeline.css")
    else:
        st.caption("No dated facts to lay out over time")
    with st.expander(f"All {len(facts)} facts as a table"):
        st.dataframe(facts, hide_index=True, height=held_px(len(facts), TABLE_PX), column_config=_columns())


def studies_of(case_key: str) -> list[tuple[str, datetime | None]]:
    """What else of the case is shown on its page, and when it was acquired; records are what the lanes are made of."""
    kinds = {kind: case_record(case_key).usable(kind) for kind in set(opened_run().info.modalities.values())}
    return [(label_of(kind), one.acquired_at) for kind, some in kinds.items() if kind != "record" for one in some]


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


def _columns() -> dict[str, object]:
    return {
        "Time (UTC)": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm", width=130),
        "Fact": st.column_config.TextColumn(width=250),
        "Value": st.column_config.TextColumn(width=80, alignment="right"),
        "Unit": st.column_config.TextColumn(width=80),
    }
