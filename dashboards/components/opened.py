"""The run that this dashboard shows, opened once and kept until its `run.json` changes."""

import os
from pathlib import Path
from typing import Final

import pandas as pd
import streamlit as st

from clinic_mm.errors import UsageError
from clinic_mm.report.run import Prediction, Run, open_run

VARIABLE: Final = "CLINIC_MM_RUN"


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
    """The cheap columns of all cases of the run."""
    run = opened_run()
    return _worklist(str(run.path), changed_at(run.path))


def prediction(case_key: str) -> Prediction:
    """One stored Prediction of the run."""
    return opened_run().prediction(case_key)


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
