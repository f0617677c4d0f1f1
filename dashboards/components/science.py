"""What the pages for data scientists share: where figures lie, a choice among them, tables to take along.

In:  settings of the site, frames of `clinic_mm.evaluate`. Out: choices, tables with a button for CSV where the person
may. A figure and its interval are never parted; texts from files are never markup.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import streamlit as st

import guard
from clinic_mm.evaluate.folders import Folders, Kind, found_folders
from clinic_mm.evaluate.withheld import least
from components.grid import held_px, outlying_px
from components.opened import opened_run
from components.plain import plain
from guard import room

MAKE: Final[Mapping[Kind, str]] = {
    "cohort": "clinic-mm ingest",
    "evaluation": "clinic-mm evaluate MODEL COHORT --out evaluation",
    "comparison": "clinic-mm compare COHORT --task task.toml --out compared",
    "monitor": "clinic-mm monitor RUN --reference EARLIER_RUN --out watch",
    "run": "clinic-mm screen",
}
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


def folders() -> Folders:
    """What the operator lets these pages read; looked at anew on every page."""
    figures = room.opened().site.figures
    return found_folders(opened_run(), figures.folders, beside_run=figures.beside_run)


def chosen(kind: Kind, label: str, *, at: int = 0, key: str = "") -> tuple[str, Path] | None:
    """Name and folder of the one to look at; says how to make one where there is none."""
    found = folders().of(kind)
    if not found:
        st.markdown(f"None was found\\. Make one: `{MAKE[kind]}`, beside the run or in a folder of `[figures]`\\.")
        return None
    names = list(found)
    name = st.selectbox(label, names, index=min(at, len(names) - 1), key=key or f"science-{kind}")
    return (name, found[name]) if name in found else None


def sealed(person: guard.Person) -> bool:
    """Whether this person may have first opinions to give, so that no single answer or label is listed for him."""
    return room.opened().site.read_first and person.may("opinion")


def simulated(is_simulated: bool) -> None:
    """Said beside every folder that says so of itself."""
    if is_simulated:
        st.caption("**SIMULATED** cases, not patients\\.")


def told_rule() -> None:
    """How counts are told."""
    st.caption(
        f"Groups below {least()} patients are not counted out, and others rounded down where one is; no figure of "
        "fewer than 30 patients, or fewer than 10 of a class\\."
    )


def table(
    frame: pd.DataFrame, name: str, alt_text: str, *, height: int | None = None, raw: pd.DataFrame | None = None
) -> None:
    """A table, and a button that takes it along as CSV.

    Args:
        frame: As a person reads it.
        name: Of the file.
        alt_text: For a screen reader.
        height: Most px, for a table of many rows; ten rows where None. A shorter one is as tall as its rows.
        raw: As a program reads it, with ends of intervals in columns of their own; the frame itself where None.
    """
    widths = {name: st.column_config.Column(width=px) for name, px in outlying_px(frame).items()}
    tall = "auto" if height is None else held_px(len(frame), height)
    st.dataframe(frame, hide_index=True, width="stretch", height=tall, column_config=widths, alt=alt_text)
    download(frame if raw is None else raw, name)


def download(frame: pd.DataFrame, name: str) -> None:
    """The button alone, for those who may take figures along."""
    if not guard.current().may("export_figures") or frame.empty:
        return
    st.download_button(
        "CSV",
        as_csv(frame),
        f"{name}.csv",
        "text/csv",
        icon=":material/download:",
        key=f"csv-{name}",
        on_click="ignore",
        help="This table; what is withheld here is withheld there",
    )


def as_csv(frame: pd.DataFrame) -> bytes:
    """UTF-8 with a heading; text that a spreadsheet would take for a formula is put in quotes of its own."""
    safe = frame.copy()
    for column in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[column]):
            safe[column] = [_harmless(one) for one in safe[column]]
    return safe.to_csv(index=False).encode()


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def numbers(values: pd.Series, digits: int = 3) -> list[str]:
    """Figures that have no interval; nothing where there is none."""
    return ["" if pd.isna(value) else decimal(value, digits) for value in values]


def decimal(value: float, digits: int) -> str:
    """`0.812`, `−0.031`: with the minus of the charts, and none before nothing."""
    return f"{value:z.{digits}f}".replace("-", "−")


def figures(rows: pd.DataFrame, value: str, low: str = "", high: str = "") -> list[str]:
    """The first figure of withheld rows, as `spans` has it; why there is none in its place."""
    told = spans(rows, value, low, high)
    return [text or str(why) for text, why in zip(told, rows["withheld"].fillna(""), strict=True)]


def spans(frame: pd.DataFrame, value: str, low: str = "", high: str = "", *, digits: int = 3) -> list[str]:
    """`0.812 (0.774 to 0.846)` of each row; nothing where there is no figure.

    Args:
        frame: With the columns.
        value: Column of the figure.
        low: Of the lower end, `<value>_low` by default.
        high: Of the upper end, `<value>_high` by default.
        digits: Behind the point.
    """
    ends = [frame[value], frame[low or f"{value}_low"], frame[high or f"{value}_high"]]
    told = [["" if pd.isna(end) else decimal(end, digits) for end in three] for three in zip(*ends, strict=True)]
    return ["" if not v else f"{v} ({a} to {b})" if a else "no interval" for v, a, b in told]


def in_words(pattern: object) -> str:
    """`ct + eeg`, `everything together`, `nothing`."""
    text = "" if pattern is None or (isinstance(pattern, float) and np.isnan(pattern)) else str(pattern)
    return {"": "nothing", "all": "all cases", "others": "other patterns together"}.get(text, text.replace("+", " + "))


def facts(pairs: Mapping[str, str]) -> None:
    """A short list of what a folder says of itself."""
    st.table({name: plain(text) for name, text in pairs.items()}, border="horizontal")


def choice(label: str, options: Sequence[str], shown: Callable[[str], str], key: str) -> str | None:
    """One of several, none where there is none."""
    return st.selectbox(label, list(options), format_func=shown, key=key) if options else None
