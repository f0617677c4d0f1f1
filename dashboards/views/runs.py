"""Runs side by side: what made each, how many answers changed, whether they got better, and which cases they are.

In:  two of the runs that the operator lets this page read. Out: facts, shares with intervals, cases by opaque key.

Closed cases are never listed; where whoever asks still has to give first opinions, no answer of a single case is.
"""

from pathlib import Path
from typing import Final

import pandas as pd
import streamlit as st

import guard
from clinic_mm.evaluate.run_changes import (
    KINDS,
    Changes,
    changed_cases,
    changed_share,
    changes,
    righter,
    run_facts,
)
from clinic_mm.evaluate.withheld import least
from clinic_mm.report.run import Run, open_run
from components.opened import changed_at
from components.plain import plain
from components.science import figures, folders, in_words, numbers, sealed, spans, table, told_rule
from guard import room

WORDS: Final = {
    "answer": "Answer",
    "set": "Prediction set",
    "pattern": "Evidence",
    "flags": "Flags",
    "silence": "Silence",
}
LISTED: Final = 500


def main() -> None:
    """Draw the page."""
    person = guard.need("explore")
    st.header("Runs side by side")
    found = folders().of("run")
    names = list(found)
    left, right = st.columns(2)
    before = left.selectbox("Earlier", names, index=len(names) - 1, key="runs-before")
    after = right.selectbox("Later", names, index=0, key="runs-after")
    one, two = open_run(found[before]), open_run(found[after])
    _facts(one, two)
    if before == after:
        st.markdown(
            "Choose two: a further run beside this one, or in a folder of `[figures]`, can be held against it\\."
        )
        return
    compared = _compared(str(one.path), str(two.path), (_stamp(one), _stamp(two)))
    _shares(compared, two)
    _list(compared, person)


@st.cache_resource(max_entries=4, show_spinner="Joining the runs")
def _compared(before: str, after: str, stamps: tuple[str, str]) -> Changes:
    return changes(open_run(Path(before)), open_run(Path(after)))


def _stamp(run: Run) -> str:
    """What changes when a run does, or what monitoring hides in it."""
    state = run.path / "monitor.json"
    shards = [(one.name, one.stat().st_mtime_ns, one.stat().st_size) for one in run.shards]
    return f"{changed_at(run.path)} {state.stat().st_mtime_ns if state.is_file() else 0} {hash(tuple(shards))}"


def _facts(before: Run, after: Run) -> None:
    one, two = run_facts(before), run_facts(after)
    rows = pd.DataFrame({"": list(one), "Earlier": list(one.values()), "Later": list(two.values())})
    rows["Same"] = ["yes" if a == b else "differs" for a, b in zip(rows["Earlier"], rows["Later"], strict=True)]
    table(rows, "runs-facts", "What made the two runs")


def _shares(found: Changes, after: Run) -> None:
    st.markdown("##### How many answers changed")
    told = (
        f"{len(found.cases)} cases stand in both, {found.only_before} in the earlier alone, {found.only_after} in the "
        f"later alone; {len(found.answered)} are answered, and shown, in both. 95 % by patient, Clopper-Pearson."
    )
    st.markdown(plain(told))
    told_rule()
    rows = changed_share(found)
    shown = pd.DataFrame({"Evidence": rows["pattern"].map(in_words), "Patients": rows["patients"]})
    shown["Changed their answer"] = figures(rows, "share", "low", "high")
    shown["Probability moved by, median"] = numbers(rows["moved"], 4)
    table(shown, "runs-shares", "Share of changed answers by evidence", raw=rows)
    better = righter(found, after.info.classes)
    if better is None:
        st.markdown("Whether they became better is not told: too few patients with a label\\.")
        return
    (span,) = spans(pd.DataFrame([better]), "difference", "low", "high")
    told = (
        f"Of {better['cases']} labelled cases of {better['patients']} patients, the earlier run is right in "
        f"{better['before']:.3f}, the later in {better['after']:.3f}: later − earlier {span}, paired by patient."
    )
    st.markdown(plain(told))


def _list(found: Changes, person: guard.Person) -> None:
    st.markdown("##### Which cases")
    kinds = st.pills("Changed in", KINDS, selection_mode="multi", default=["answer"], format_func=WORDS.__getitem__)
    rows = changed_cases(found, kinds)
    closed = rows["case_key"].isin(room.opened().closed)
    rows = rows[~closed]
    n = rows["patient_key"].nunique()
    if 0 < n < least():
        st.markdown(plain(f"Fewer than {least()} patients: how many is not told."))
    else:
        st.markdown(plain(f"{len(rows)} cases of {n} patients."))
    if closed.any():
        st.caption("Closed cases are left out\\.")
    if rows.empty:
        return
    shown = pd.DataFrame({"Case": rows["case_key"]})
    shown["Changed in"] = [
        ", ".join(WORDS[kind].lower() for kind, is_so in zip(KINDS, flags, strict=True) if is_so)
        for flags in rows[list(KINDS)].to_numpy()
    ]
    for side, word in (("before", "earlier"), ("after", "later")):
        shown[f"Evidence, {word}"] = rows[f"pattern_{side}"].map(in_words)
    if sealed(person):
        st.caption(
            "You still give first opinions here: answers of single cases are left out, and what would tell them\\."
        )
        shown = shown.drop(columns="Changed in").sort_values("Case")
    else:
        for side, word in (("before", "earlier"), ("after", "later")):
            shown[f"Answer, {word}"] = rows[f"answer_{side}"]
            shown[f"Set, {word}"] = rows[f"set_{side}"].str.replace("+", " or ", regex=False)
            shown[f"Urgency, {word}"] = numbers(rows[f"urgency_{side}"])
        shown["Moved by"] = numbers(rows["moved"], 4)
    if len(shown) > LISTED:
        st.caption(f"The first {LISTED} of {len(shown)}; all stand in the CSV\\.")
    table(shown.head(LISTED), "runs-cases", "Cases that changed", height=420, raw=shown)


main()
