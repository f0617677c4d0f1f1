"""Read the ECG of an EDF or BDF file whose signals are the 12 leads.

In:  an EDF or BDF file. Out: an `EcgRecording` with its start and patient code; or that it is no 12-lead ECG.

The header, the times and the samples are read as for EEG: one reader for one format.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import EcgRecording
from clinic_mm.sources.ecg.checked import check_length, checked, no_leads
from clinic_mm.sources.ecg.leads import chosen, lead_name, lead_table, millivolts_per
from clinic_mm.sources.eeg.channels import channel_table, electrode_name
from clinic_mm.sources.eeg.edf_header import EdfHeader, check_ranges, read_edf_header
from clinic_mm.sources.eeg.edf_samples import EdfPages
from clinic_mm.sources.eeg.edf_times import read_times
from clinic_mm.sources.eeg.opening import patient_code
from clinic_mm.types import Flag


def is_edf_ecg(header: EdfHeader) -> bool:
    """Whether the signals are an ECG: as many leads as one needs, and no electrode of an EEG."""
    labels = [signal.label for signal in header.signals]
    leads = {lead for label in labels if (lead := lead_name(label))}
    return len(leads) >= lead_table().floor and not any(
        electrode_name(label) for label in labels if not lead_name(label)
    )


def read_edf_ecg(path: Path) -> tuple[EcgRecording, datetime | None, str]:
    """Read and check one file.

    Returns:
        The recording, its start (local, None where the header gives none) and the patient code.

    Raises:
        EvidenceError: Those of the EDF header, `ecg.unit`, and those of `checked`.
    """
    header = read_edf_header(path)
    place, flags = chosen([lead_name(signal.label) for signal in header.signals])
    same, more = _one_rate(header, place)
    if not same:
        raise no_leads()
    signals = [header.signals[at] for at in same.values()]
    scale = [millivolts_per(signal.unit) for signal in signals]
    if not all(scale):
        what = "A lead has no unit of voltage"
        raise EvidenceError("ecg.unit", what, "physical dimension", "Export it again with its units")
    check_ranges(tuple(signals))
    times = read_times(path, header)
    pages = EdfPages(path, header, signals, scale, times.segments)
    check_length(pages.shape[1], pages.sfreq_hz, len(signals))
    values = np.asarray(pages)
    rows = {lead: values[row] for row, lead in enumerate(same)}
    seen = (*header.flags, *flags, *more, *times.flags)
    start = header.start if header.start and header.start.date() not in channel_table().no_date else None
    return checked(rows, pages.sfreq_hz, seen), start, patient_code(header.patient_id)


def _one_rate(header: EdfHeader, place: dict[str, int]) -> tuple[dict[str, int], Sequence[Flag]]:
    """The leads of the highest rate that any has."""
    most = max((header.signals[at].samples for at in place.values()), default=0)
    same = {lead: at for lead, at in place.items() if header.signals[at].samples == most}
    if len(same) == len(place):
        return same, ()
    why = f"{len(place) - len(same)} leads have another sampling rate and were left out"
    return same, (Flag(code="ecg.mixed_rates", why=why),)
