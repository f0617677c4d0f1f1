"""The run that this dashboard shows, and the store of the room with all of it; both are opened once.

In:  the environment (CLINIC_MM_RUN, CLINIC_MM_MONITOR, `guard.room`). Out: the run, the store, what monitoring hides.
"""

import os
from pathlib import Path
from typing import Final

import streamlit as st

from clinic_mm.errors import UsageError
from clinic_mm.evaluate.monitor.state import MonitorState, read_state, state_of_run
from clinic_mm.report.run import Prediction, Run, open_run
from clinic_mm.store.store import Store
from guard import room

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


def store() -> Store:
    """The store of the room: it holds what the run has finished, and hides what monitoring hides.

    A run that goes on is taken in by `clinic-mm dashboard`, now and then; a finished one here, when it has changed.
    """
    run, here = opened_run(), room.opened()
    _taken_in(str(run.path), str(here.home), _stamp(run))
    told = "\n".join(state.model_dump_json() for state in _states())
    _held_back(str(run.path), str(here.home), told, sum(here.store.counts().values()))
    return here.store


def hidden(pattern: tuple[str, ...]) -> str:
    """Why monitoring hides the answers of a pattern, "" where it does not; read anew, no cache keeps it waiting."""
    return next((why for state in _states() if (why := state.withheld(pattern))), "")


def marked(found: Prediction) -> Prediction:
    """The same Prediction, marked where monitoring hides it."""
    why = hidden(found.pattern)
    return found.model_copy(update={"withheld": why}) if why and not found.withheld else found


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


def changed_at(run: Path) -> int:
    """When `run.json` was written, ns; 0 where there is none. Part of every cache key."""
    path = run / "run.json"
    return path.stat().st_mtime_ns if path.is_file() else 0


def _stamp(run: Run) -> int:
    """A number that changes with a finished run: a shard is put in its place whole, which changes its folder."""
    if run.info.finished_at is None:
        return changed_at(run.path)
    shards = run.path / "shards"
    folders = [shards, *(one for one in shards.glob("day=*"))] if shards.is_dir() else []
    return changed_at(run.path) + sum(one.stat().st_mtime_ns for one in folders)


@st.cache_resource(max_entries=4, show_spinner=False)
def _opened(folder: str, changed: int) -> Run:
    return open_run(Path(folder))


@st.cache_resource(max_entries=4, show_spinner="Taking the run into the store")
def _taken_in(folder: str, home: str, stamp: int) -> bool:
    room.opened().store.import_run(Path(folder), hides=hidden)
    return True


# Only the last states count: those of before, come back, are heeded again. What is taken in is hidden as it comes.
@st.cache_resource(max_entries=1, show_spinner=False)
def _held_back(folder: str, home: str, states: str, cases: int) -> bool:
    room.opened().store.withhold(hidden)
    return True
