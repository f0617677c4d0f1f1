"""Read the ECG of a CSV or Parquet table: one row per sample, one column per lead.

In:  a table, and what the ingest file declares of it; a table whose columns are called `time_s`, `I_mV`, `V1_mV` … says
     it all by itself. Out: an `EcgRecording`. A unit or a rate that nobody states is refused, never guessed.
"""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Final

import numpy as np
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import EcgRecording
from clinic_mm.sources.ecg.checked import check_length, checked
from clinic_mm.sources.ecg.leads import chosen, lead_name, lead_table, millivolts_per
from clinic_mm.sources.samples import SECONDS, LeadColumns
from clinic_mm.sources.tables.known import columns_of
from clinic_mm.sources.tables.sample_table import numbers, open_samples
from clinic_mm.types import Flag

UNIT_SUFFIX: Final = re.compile(r"(.+)_(mv|uv)")
SUFFIX_UNITS: Final = {"mv": "mV", "uv": "uV"}
TIMES: Final = {"time_s": "s", "time_ms": "ms", "time_us": "us"}
MEND: Final = "Declare its columns under [source.options], see docs/cohort_file.md"


def lead_columns(names: Collection[str]) -> LeadColumns | None:
    """What column names in lower case say by themselves; None where they do not say all."""
    times = [name for name in names if name in TIMES]
    units = {
        lead: (name, found[2])
        for name in names
        if (found := UNIT_SUFFIX.fullmatch(name)) and (lead := lead_name(found[1]))
    }
    if len(times) != 1 or len(units) < lead_table().floor or len({unit for _, unit in units.values()}) != 1:
        return None
    unit = SUFFIX_UNITS[next(iter(units.values()))[1]]
    columns = {lead: name for lead, (name, _) in units.items()}
    return LeadColumns(unit=unit, time=times[0], time_unit=TIMES[times[0]], columns=columns)


def read_table_ecg(path: Path, declared: LeadColumns | None) -> EcgRecording:
    """Read and check one table.

    Raises:
        EvidenceError: `ecg.columns`, `ecg.unit`, `ecg.times`, those of `sample_table` and of `checked`.
    """
    names = columns_of(path)
    told = declared or lead_columns(names)
    if told is None:
        what = "Nothing says which columns are leads, in which unit and at which rate"
        raise EvidenceError("ecg.columns", what, "", MEND)
    scale = millivolts_per(told.unit)
    if not scale:
        raise EvidenceError("ecg.unit", "The declared unit is none of voltage", "unit", 'Write unit = "mV" or "uV"')
    wanted = {lead: name.lower() for lead, name in told.columns.items()}
    flags: tuple[Flag, ...] = ()
    if not wanted:
        order = sorted(names - ({told.time.lower()} if told.time else set()))
        place, flags = chosen([lead_name(name) for name in order])
        wanted = {lead: order[at] for lead, at in place.items()}
    unknown = [lead for lead in wanted if lead not in lead_table().leads]
    if unknown or (missing := set(wanted.values()) - names):
        what = (
            "Columns are declared for what is no lead" if unknown else f"{len(missing)} declared columns are not there"
        )
        raise EvidenceError("ecg.columns", what, "", MEND)
    frame = open_samples(path, {*wanted.values(), *({told.time.lower()} if told.time else ())})
    sfreq_hz = told.sfreq_hz or _rate(numbers(frame[told.time.lower()]) * SECONDS[told.time_unit])
    check_length(len(frame), sfreq_hz, len(wanted))
    rows = {lead: (numbers(frame[name]) * scale).astype(np.float32) for lead, name in wanted.items()}
    return checked(rows, sfreq_hz, flags)


def _rate(time_s: Array) -> float:
    steps = np.diff(time_s)
    usual = float(np.median(steps)) if len(steps) else 0.0
    if not usual > 0 or not np.isfinite(steps).all() or np.abs(steps - usual).max() > 0.5 * usual:
        raise EvidenceError("ecg.times", "The times of the samples are not even, or go back", "", "Export it again")
    # Rounded times lie to both sides of the true ones: the whole span is exact where each step is not.
    return float((len(time_s) - 1) / (time_s[-1] - time_s[0]))
