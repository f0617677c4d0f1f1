"""Cohort explorer: who has what, of which group and split, refused by which check; counts of whatever is chosen.

In:  a cohort folder, and the run over it. Out: counts by group with the share of the last class and its interval; case
keys of the chosen. No name, text, date or answer is read; what is of few patients is not counted out.
"""

from pathlib import Path
from typing import Final

import pandas as pd
import streamlit as st

import guard
from clinic_mm.cohort.manifest import Cohort, open_cohort
from clinic_mm.evaluate.explorer import (
    case_index,
    counted,
    few_to_tell,
    fits,
    trained_by,
    values_of,
    with_run,
)
from clinic_mm.evaluate.kept import kept_table
from clinic_mm.evaluate.withheld import least
from clinic_mm.report.run import Run
from components.chart import forest
from components.opened import changed_at, opened_run
from components.plain import plain
from components.science import chosen, figures, in_words, sealed, simulated, table, told_rule
from guard import room

FOLDER: Final = "explorer"
LISTED: Final = 500
ASKED: Final = {
    "pattern": "Evidence",
    "label": "Label",
    "split": "Split",
    "state": "In the run",
    "site": "Site",
    "sex": "Sex",
    "age": "Age band",
    "language": "Language",
    "refused": "Refused by",
    "flags": "Flags",
}
ANSWERING: Final = ("label", "state")
"""What tells of a single case what its reader is to judge."""


def main() -> None:
    """Draw the page."""
    person = guard.need("explore")
    st.header("Cohort")
    asked = chosen("cohort", "Cohort")
    if asked is None:
        return
    name, folder = asked
    cohort, run = open_cohort(folder), opened_run()
    index = _index(str(folder), str(run.path), _stamp(cohort, run))
    simulated(cohort.info.simulated)
    told_rule()
    wanted = _asked(index, name)
    rows = index[fits(index, wanted)]
    n = rows["patient_key"].nunique()
    if n == 0:
        st.markdown("Nobody\\.")
        return
    if few_to_tell(rows["patient_key"]):
        st.markdown(plain(f"Fewer than {least()} patients: nothing is counted out. Ask for less."))
        return
    st.markdown(plain(f"{len(rows)} cases of {n} patients, of {len(index)} cases in all."))
    _counts(rows, index, run, name)
    _kinds(rows, name)
    _keys(rows, wanted, person, name)


@st.cache_resource(max_entries=4, show_spinner="Reading the cohort")
def _index(folder: str, run_folder: str, stamp: str) -> pd.DataFrame:
    """The table of cases, kept on disk beside what else the room keeps; what the run made of them is read anew."""
    cohort, run = open_cohort(Path(folder)), opened_run()
    mine = cohort.path.resolve() == run.cohort_folder.resolve()
    info = run.info

    def made() -> pd.DataFrame:
        has_target = cohort.labels is not None and info.target in cohort.labels
        return case_index(
            cohort,
            target=info.target if has_target else "",
            classes=info.classes,
            decision=info.decision_time if info.decision_time.column in cohort.info.times else None,
            kinds=tuple(info.modalities.values()) if mine else (),
            patients_sha256=trained_by(run),
        )

    found = kept_table(room.opened().home / FOLDER, (stamp, mine, info.model.hash), made)
    return with_run(found, run) if mine else found


def _stamp(cohort: Cohort, run: Run) -> str:
    """What the table is made of: the files as ingest wrote them, checked by size and time, and the question asked."""
    files = [(name, *_when(cohort.path / name)) for name in sorted(cohort.info.files)]
    info = run.info
    asked = (info.target, info.classes, info.decision_time, tuple(info.modalities.values()), changed_at(run.path))
    return repr((cohort.info.content_hash, files, asked))


def _when(path: Path) -> tuple[int, int]:
    return (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else (0, 0)


def _asked(index: pd.DataFrame, name: str) -> dict[str, list[str]]:
    """One choice per column that has more than one value."""
    options = _options(index)
    cells = st.columns(5)
    return {
        column: cells[at % 5].multiselect(
            ASKED[column],
            values,
            format_func=in_words if column == "pattern" else str,
            key=f"cohort-{name}-{column}",
            placeholder="Any",
        )
        for at, (column, values) in enumerate(options.items())
    }


@st.cache_data(max_entries=4, show_spinner=False, hash_funcs={pd.DataFrame: id})
def _options(index: pd.DataFrame) -> dict[str, list[str]]:
    found = {column: values_of(index, column) for column in ASKED if column in index}
    return {column: values for column, values in found.items() if values}


def _counts(rows: pd.DataFrame, index: pd.DataFrame, run: Run, name: str) -> None:
    by = [column for column in ASKED if column in index and column in _options(index)]
    column = st.segmented_control("Counted by", by, default=by[0], format_func=ASKED.__getitem__, key=f"by-{name}")
    column = column or by[0]
    classes = () if column == "label" else run.info.classes
    found = counted(rows, column, classes)
    shown = pd.DataFrame({ASKED[column]: found["group"].map(in_words if column == "pattern" else str)})
    shown["Patients"] = found["patients"]
    shown["Labelled"] = found["labelled"]
    if len(classes) == 2:
        head = f"Share of {classes[-1]}"
        shown[head] = figures(found, "share", "low", "high")
    table(shown, f"{name}-by-{column}", f"Patients by {ASKED[column]}", raw=found)
    if len(classes) == 2 and found["share"].notna().any():
        drawn = found.assign(group=shown[ASKED[column]])
        forest(drawn, "group", "share", "low", "high", f"share of {classes[-1]}, 95 %")


def _kinds(rows: pd.DataFrame, name: str) -> None:
    """Patients by what stands in each modality."""
    st.markdown("##### Each modality")
    known = {"case_key", "patient_key", *ASKED}
    made = []
    for kind in (column for column in rows if column not in known):
        found = counted(rows, str(kind)).set_index("group")["patients"]
        made.append({"Modality": str(kind), **{word: found.get(word, "0") for word in STATUSES}})
    table(pd.DataFrame(made), f"{name}-modalities", "Patients by the state of each modality")


STATUSES: Final = ("present", "absent", "rejected", "failed")


def _keys(rows: pd.DataFrame, wanted: dict[str, list[str]], person: guard.Person, name: str) -> None:
    """Whom a further look is to be taken at, by opaque key."""
    st.markdown("##### Case keys of the chosen")
    if sealed(person) and any(wanted.get(column) for column in ANSWERING):
        st.caption(
            "You still give first opinions here: no case is listed by its label, or by whether it got an answer\\."
        )
        return
    mine = rows[~rows["case_key"].isin(room.opened().closed)]
    if few_to_tell(mine["patient_key"]):
        st.markdown(plain(f"Fewer than {least()} patients: they are not listed."))
        return
    shown = pd.DataFrame({"Case": mine["case_key"], "Evidence": mine["pattern"].astype(str).map(in_words)})
    if len(shown) > LISTED:
        st.caption(f"The first {LISTED} of {len(shown)}; all stand in the CSV\\.")
    table(shown.head(LISTED), f"{name}-keys", "Case keys of the chosen", height=240, raw=shown)


main()
