"""The run that this dashboard shows, opened once and kept until its `run.json` changes."""

import os
from pathlib import Path
from typing import Final

import pandas as pd
import streamlit as st

from clinic_mm.errors import UsageError
from clinic_mm.evaluate.monitor.state import MonitorState, read_state, state_of_run
from clinic_mm.report.run import JOIN, Prediction, Run, open_run

VARIABLE: Final = "CLINIC_MM_RUN"
MONITOR: Final = "CLINIC_MM_MONITOR"


def opened_run() -> Run:
    """The run named by CLINIC_MM_RUN.

    Raises:
        UsageError: If the variable is not set.
        ArtifactError: If the folder is not a run that this version reads.
    """
    folder = os.environ.get(VARIABLE, "")
    if not folder:
        raise UsageError("No run is named", VARIABLE, "Start with: clinic-mm dashboard RUN")
    return _opened(folder, changed_at(Path(folder)))


def worklist() -> pd.DataFrame:
    """The cheap columns of all cases of the run, and whether monitoring hides the answer (`hidden`)."""
    run, states = opened_run(), _states()
    frame = _worklist(str(run.path), changed_at(run.path))
    hides = [pattern for pattern in frame["pattern"].unique() if _hidden(tuple(pattern.split(JOIN)), states)]
    return frame.assign(hidden=frame["pattern"].isin(hides))


def prediction(case_key: str) -> Prediction:
    """One stored Prediction of the run, marked where monitoring hides it."""
    found = opened_run().prediction(case_key)
    hidden = _hidden(found.pattern, _states())
    return found.model_copy(update={"withheld": hidden}) if hidden else found


def monitor_state() -> MonitorState | None:
    """What monitoring found: the state named by CLINIC_MM_MONITOR, else that in the run's folder; None for none.

    Read anew on every page: what is to be hidden must not wait for a cache.

    Raises:
        ArtifactError: If it is damaged, or of another model.
    """
    return next(iter(_states()), None)


def _states() -> list[MonitorState]:
    """The one that is named, and that of the run: what screening withheld stays so until it is screened again."""
    run, named = opened_run(), os.environ.get(MONITOR, "")
    states = [read_state(Path(named), run.info.model.hash)] if named else []
    own = state_of_run(run.path, run.info.model.hash)
    return [*states, *([own] if own else [])]


def _hidden(pattern: tuple[str, ...], states: list[MonitorState]) -> str:
    return next((why for state in states if (why := state.withheld(pattern))), "")


def changed_at(run: Path) -> int:
    """When `run.json` was written, ns; 0 where there is none. Part of every cache key."""
    path = run / "run.json"
    return path.stat().st_mtime_ns if path.is_file() else 0


@st.cache_resource(max_entries=4, show_spinner=False)
def _opened(folder: str, changed: int) -> Run:
    return open_run(Path(folder))


@st.cache_data(max_entries=4, show_spinner="Reading the worklist")
def _worklist(folder: str, changed: int) -> pd.DataFrame:
    return _opened(folder, changed).worklist()
