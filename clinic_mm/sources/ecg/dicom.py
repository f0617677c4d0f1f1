"""Read the ECG of a DICOM file: 12-lead, general and general 32-bit ECG waveforms.

In:  a DICOM file whose class or modality says ECG. Out: an `EcgRecording`, or `EvidenceError` with a code.

Of its multiplex groups the original ones are read, never an averaged beat. Leads by the codes of CID 3001.
Source: DICOM PS3.3 A.34.3, A.34.4, C.10.9 (Waveform), PS3.16 CID 3001.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy import ndarray as Array
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import EcgRecording
from clinic_mm.sources.dicom.stream import guarded, open_dicom
from clinic_mm.sources.ecg.checked import check_length, checked
from clinic_mm.sources.ecg.leads import chosen, coded_lead, lead_name, millivolts_per
from clinic_mm.types import Flag

STORAGE: Final = "1.2.840.10008.5.1.4.1.1.9."
ECG_CLASSES: Final = frozenset({f"{STORAGE}1.1", f"{STORAGE}1.2", f"{STORAGE}1.4"})
AMBULATORY: Final = f"{STORAGE}1.3"
TYPES: Final = {
    (8, "SB"): "i1",
    (8, "UB"): "u1",
    (16, "SS"): "i2",
    (16, "US"): "u2",
    (32, "SL"): "i4",
    (32, "UL"): "u4",
}
AVERAGED: Final = "MEDIAN"
MEND: Final = "Export the ECG again"


@dataclass(frozen=True, slots=True)
class _Group:
    """One multiplex group: channels that were sampled together."""

    item: Dataset
    channels: tuple[Dataset, ...]
    n: int
    sfreq_hz: float
    offset_ms: float

    @property
    def clock(self) -> tuple[int, float, float]:
        """Groups of one clock are one recording."""
        return self.n, self.sfreq_hz, self.offset_ms


def is_ecg(sop_class: str, modality: str) -> bool:
    """Whether a file says that it is an ECG, of any kind."""
    return sop_class in {*ECG_CLASSES, AMBULATORY} or modality == "ECG"


def read_dicom_ecg(path: Path) -> EcgRecording:
    """Read and check one file.

    Raises:
        EvidenceError: `dicom.unreadable` and its like, `ecg.ambulatory`, `ecg.no_waveform`, `ecg.waveform`, `ecg.unit`,
            and those of `checked`.
    """
    opened = open_dicom(path)
    with guarded():
        sop_class = str(opened.dataset.get("SOPClassUID", ""))
        if sop_class == AMBULATORY:
            raise EvidenceError("ecg.ambulatory", "This is a long-term ECG", "SOPClassUID", "Give a resting ECG")
        groups = list(_groups(opened.dataset))
        big = opened.transfer_syntax == ExplicitVRBigEndian
        whole = [group for group in groups if group.clock == groups[0].clock]
        rows, found = _values(whole, ">" if big else "<")
        place, flags = chosen(found)
        if len(groups) > len(whole):
            why = f"{len(groups) - len(whole)} groups of channels of another rate or time were left out"
            flags += (Flag(code="ecg.other_groups", why=why),)
        return checked({lead: rows[at] for lead, at in place.items()}, whole[0].sfreq_hz, flags)


def _groups(dataset: Dataset) -> Iterator[_Group]:
    """The original groups, the one with the most channels first."""
    items = list(dataset.get("WaveformSequence") or [])
    original = [item for item in items if str(item.get("WaveformOriginality", "")) != "DERIVED" and not _averaged(item)]
    if not original:
        what = "The file holds no ECG" if not items else "The file holds averaged beats only"
        raise EvidenceError("ecg.no_waveform", what, "WaveformSequence (5400,0100)", MEND)
    for item in sorted(original, key=lambda item: -int(item.get("NumberOfWaveformChannels") or 0)):
        channels = tuple(item.get("ChannelDefinitionSequence") or ())
        n, rate = int(item.get("NumberOfWaveformSamples") or 0), float(item.get("SamplingFrequency") or 0)
        check_length(n, rate, len(channels))
        if len(channels) != int(item.get("NumberOfWaveformChannels") or 0):
            raise _bad("The number of channels is not that of their definitions")
        yield _Group(item, channels, n, rate, float(item.get("MultiplexGroupTimeOffset") or 0))


def _averaged(item: Dataset) -> bool:
    return AVERAGED in str(item.get("MultiplexGroupLabel") or "").upper()


def _values(groups: Sequence[_Group], order: str) -> tuple[list[Array], list[str | None]]:
    """Millivolts of all channels that are a lead, and which lead each is."""
    rows, found = [], []
    for group in groups:
        stored = _stored(group, order)
        for at, channel in enumerate(group.channels):
            lead = _lead(channel)
            found.append(lead)
            rows.append(_millivolts(stored[:, at], channel, group.item) if lead else np.zeros(0, np.float32))
    return rows, found


def _stored(group: _Group, order: str) -> Array:
    """Stored values [sample, channel], interleaved as C.10.9.1.4 has them."""
    bits, sign = int(group.item.get("WaveformBitsAllocated") or 0), str(group.item.get("WaveformSampleInterpretation"))
    kind = TYPES.get((bits, sign))
    if kind is None:
        raise _bad("The samples are of a kind that is not read")
    data = group.item.get("WaveformData")
    count = group.n * len(group.channels)
    if not isinstance(data, bytes) or not 0 <= len(data) - count * bits // 8 < 4:
        raise _bad("The samples are not as many as the header says")
    return np.frombuffer(data, f"{order}{kind}", count).reshape(group.n, len(group.channels))


def _lead(channel: Dataset) -> str | None:
    """By code, else by label; a code that is known to be something else is not asked by its words."""
    source = (channel.get("ChannelSourceSequence") or [Dataset()])[0]
    lead = coded_lead(str(source.get("CodingSchemeDesignator", "")), str(source.get("CodeValue", "")))
    return lead or lead_name(str(source.get("CodeMeaning", ""))) or lead_name(str(channel.get("ChannelLabel", "")))


def _millivolts(stored: Array, channel: Dataset, item: Dataset) -> Array:
    unit = (channel.get("ChannelSensitivityUnitsSequence") or [Dataset()])[0]
    scale = millivolts_per(str(unit.get("CodeValue", "")))
    gain = _number(channel, "ChannelSensitivity", 0.0) * _number(channel, "ChannelSensitivityCorrectionFactor", 1.0)
    if not scale or not gain:
        where = "ChannelSensitivity (003A,0210), its units (003A,0211)"
        raise EvidenceError("ecg.unit", "Nothing says how many millivolts a stored value is", where, MEND)
    row = (stored.astype(np.float64) * gain + _number(channel, "ChannelBaseline", 0.0)) * scale
    padding = item.get("WaveformPaddingValue")
    if isinstance(padding, bytes) and len(padding) >= stored.dtype.itemsize:
        row[stored == np.frombuffer(padding, stored.dtype, 1)[0]] = np.nan
    return row.astype(np.float32)


def _number(channel: Dataset, keyword: str, default: float) -> float:
    value: Any = channel.get(keyword)
    return default if value is None or value == "" else float(value)


def _bad(what: str) -> EvidenceError:
    return EvidenceError("ecg.waveform", what, "WaveformSequence (5400,0100)", MEND)
