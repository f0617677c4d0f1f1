"""Evidence of one case, found in the cohort and decoded on demand, kept in a small bounded cache.

In:  a case key of the run. Out: its CaseRecord, and decoded signals.

Nothing is prepared or scaled for a model here: a reader sees what was acquired.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

import streamlit as st

from clinic_mm.cohort.load import load_evidence
from clinic_mm.cohort.manifest import Cohort, open_cohort
from clinic_mm.errors import ClinicError, EvidenceError, InputError
from clinic_mm.report.run import RunInfo
from clinic_mm.signals import Signal
from clinic_mm.sources.choose import in_order
from clinic_mm.types import CaseRecord, Evidence
from clinic_mm.viewing.study import KINDS, study_id, study_of
from components.opened import changed_at, opened_run

KEPT_SIGNALS: Final = 12
"""Decoded studies held in memory at once; a CT of 500 slices is about 0.5 GB."""


def case_record(case_key: str) -> CaseRecord:
    """What the cohort holds of one case, as known at its decision time.

    Raises:
        InputError: If the cohort is gone or no longer forms this case.
    """
    run = opened_run()
    found = _cases(str(run.path), changed_at(run.path)).get(case_key)
    if found is None:
        raise InputError("The cohort no longer forms this case", "", "Screen the cohort again")
    return found


def signal(evidence: Evidence, kind: str) -> Signal:
    """Decode one piece of evidence; the last few stay in memory.

    Raises:
        EvidenceError: If it can no longer be used.
    """
    run = opened_run()
    return _signal(evidence.model_dump_json(), kind, str(run.path), changed_at(run.path))


def roots() -> Mapping[str, Path]:
    """The folder of each root of the cohort."""
    run = opened_run()
    return _cohort(str(run.path), changed_at(run.path)).roots


def study(case_key: str, kind: str, study: str) -> Evidence:
    """The study of a case that an address names (`viewing.study.study_id`).

    Raises:
        InputError: If the case has none of that name.
    """
    found = study_of(case_record(case_key).usable(kind), study)
    if found is None:
        raise InputError("This case has no such study", kind, "Open the case again")
    return found


def address(case_key: str, kind: str, evidence: Evidence) -> str:
    """Where the pixels or signals of a study are served, to those who may see the case."""
    return f"/v1/case/{quote(case_key, safe='')}/{kind}/{study_id(evidence)}"


def pictures(case_key: str) -> list[tuple[Evidence, str]]:
    """The latest study of each kind that is a picture, CT first, with its kind.

    Raises:
        InputError: If the cohort is gone or no longer forms this case.
    """
    case = case_record(case_key)
    return [(one, kind) for kind in KINDS for one in in_order(case.usable(kind), "latest")[:1]]


def cohort_folder(info: RunInfo, run: Path) -> Path:
    """Where the cohort lies: as the run names it, relative to the run folder if need be."""
    given = Path(info.cohort)
    return given if given.is_absolute() or given.is_dir() else (run / given).resolve()


@st.cache_resource(max_entries=2, show_spinner=False)
def _cohort(folder: str, changed: int) -> Cohort:
    run = opened_run()
    return open_cohort(cohort_folder(run.info, run.path))


@st.cache_resource(max_entries=2, show_spinner="Reading the cohort")
def _cases(folder: str, changed: int) -> dict[str, CaseRecord]:
    info = opened_run().info
    kinds = sorted(set(info.modalities.values()))
    cases = _cohort(folder, changed).cases(decision=info.decision_time, modalities=kinds)
    return {case.case_key: case for case in cases}


# cache_resource, not cache_data: the latter pickles and copies, which for a CT costs more than decoding it.
@st.cache_resource(max_entries=KEPT_SIGNALS, show_spinner="Reading the study")
def _signal(evidence: str, kind: str, folder: str, changed: int) -> Signal:
    roots = _cohort(folder, changed).roots
    try:
        return load_evidence(Evidence.model_validate_json(evidence), roots, kind)
    except ClinicError:
        raise
    except Exception as error:  # noqa: BLE001 - the one border to the readers: a page never ends in a traceback
        what = f"Its reader failed ({type(error).__name__})"
        raise EvidenceError("reader.failed", what, kind, "Report this as a fault of clinic_mm") from None
