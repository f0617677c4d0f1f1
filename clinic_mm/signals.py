"""Decoded evidence: what a reader hands to prep. Arrays with their units in the field names, nothing identifying.

In:  nothing. Out: frozen containers. Nothing here reads a file, and nothing here has been resampled or scaled to taste.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from jaxtyping import Float32, Float64
from numpy import ndarray as Array

from clinic_mm.types import Flag

RECORD_COLUMNS = (
    *("patient_id", "category", "code", "display", "value", "text", "unit", "time", "source_id"),
    *("ref_low", "ref_high", "interpretation"),
)
"""Columns of a record in long form, one row per fact.

patient_id  the source's own id (str); never leaves the cohort folder unkeyed
category    demographic | observation | condition | medication | procedure | encounter | report | imaging | allergy
code        `loinc:718-7`, `snomed:38341003`, `rxnorm:314076`, `birth_date`, `sex`, or a mapped column's own name
display     the source's words for the code
value       float64, NaN where the fact has no number
text        categorical or free value, "" where none (sex: female | male | other | unknown)
unit        UCUM where it is known, the code's own where clinic_mm.sources.record.units knows the code; "" where none
time        UTC timestamp, NaT where undated
source_id   resource id or row, to find the fact again
ref_low     float64, lower end of the reference range that the source gives, in `unit`; NaN where none
ref_high    the same, its upper end
interpretation  of the source (HL7 v3 ObservationInterpretation: `H`, `L`, `HH`, `LL`, `N`, `A`, `POS` …), "" where none
"""

RECORD_NUMBERS = ("value", "ref_low", "ref_high")
"""Columns of a record that are float64; `time` is a time, and all others are text."""

NOTE_COLUMNS = ("patient_id", "time", "kind", "text", "source_id")
"""Columns of notes: one row per document. `kind` is the source's type of note, "" where none."""


@dataclass(frozen=True, slots=True)
class CtVolume:
    """A CT series in space.

    Attributes:
        hu: Hounsfield units, axes x to the Right, y to the Anterior, z to the Superior end (RAS order: index grows
            toward Right, Anterior, Superior).
        spacing_mm: Voxel size along the same three axes.
        flags: What was seen or repaired on reading.
    """

    hu: Float32[Array, "x y z"]
    spacing_mm: tuple[float, float, float]
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, slots=True)
class XrayImage:
    """A radiograph, grey values in [0, 1] after Modality and VOI LUT, larger is brighter (MONOCHROME2 sense).

    Attributes:
        grey: Rows (top to bottom) by columns (left to right) as displayed.
        spacing_mm: Row and column spacing, None where unknown.
        view_position: `AP`, `PA`, `LL`, … or "" where unknown.
        flags: What was seen or repaired on reading.
    """

    grey: Float32[Array, "row column"]
    spacing_mm: tuple[float, float] | None = None
    view_position: str = ""
    flags: tuple[Flag, ...] = ()


class Pages(ABC):
    """Volts that stay in their file and are decoded page by page: `pages[:, a:b]`, `pages[[0, 3], a:b]`."""

    shape: tuple[int, int]
    """Channels, samples."""
    dtype = np.dtype(np.float32)

    @abstractmethod
    def read(self, rows: Sequence[int], start: int, stop: int) -> Float32[Array, "row sample"]:
        """Decode samples `start` to `stop` of some channels; NaN where nothing was recorded.

        Raises:
            EvidenceError: If the file is no longer what it was when it was opened.
        """

    def __getitem__(self, key: tuple[Any, slice]) -> Float32[Array, "row sample"]:
        chosen, span = key
        rows = range(self.shape[0])[chosen] if isinstance(chosen, slice) else chosen
        start, stop, _ = span.indices(self.shape[1])
        return self.read(list(rows), start, max(start, stop))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:  # noqa: ANN401 - numpy's own protocol
        del copy
        whole = self[:, :]
        return whole if dtype is None else whole.astype(dtype)


@dataclass(frozen=True, slots=True)
class EegRecording:
    """An EEG with 10-20 names where they could be normalised.

    Attributes:
        volts: One row per channel, in volts; pages of the file where the recording is long. NaN in gaps.
        channels: Names, normalised (`Fp1`, `T7`, `Cz`), EEG channels only.
        sfreq_hz: Sampling rate.
        annotations: (onset_s, duration_s, description); words that might name a person are masked.
        flags: What was seen or repaired on reading.
        bad: Channels without a usable signal (flat, saturated, not volts): they are kept to be looked at, and count
            as missing.
        gaps: (onset_s, duration_s) of interruptions, ascending; of no length where samples on both sides of a
            moment do not belong together.
        events: (onset_s, duration_s, code) of the annotations that `schemas/eeg_annotations.toml` knows.
        others: What else the file holds beside EEG, by kind: `ecg`, `eog`, `emg`, `resp`, `stim`, `other`.
    """

    volts: Float32[Array, "channel sample"] | Pages
    channels: tuple[str, ...]
    sfreq_hz: float
    annotations: tuple[tuple[float, float, str], ...] = ()
    flags: tuple[Flag, ...] = ()
    bad: tuple[str, ...] = ()
    gaps: tuple[tuple[float, float], ...] = ()
    events: tuple[tuple[float, float, str], ...] = ()
    others: tuple[tuple[str, str], ...] = ()

    @property
    def segments(self) -> tuple[tuple[int, int], ...]:
        """First and last sample (exclusive) of each stretch without interruption."""
        edges = [(round(at * self.sfreq_hz), round((at + length) * self.sfreq_hz)) for at, length in self.gaps]
        starts = [0, *(stop for _, stop in edges)]
        stops = [*(start for start, _ in edges), self.volts.shape[1]]
        return tuple((a, b) for a, b in zip(starts, stops, strict=True) if b > a)


@dataclass(frozen=True, slots=True)
class EcgRecording:
    """A resting ECG, its leads in the standard order.

    Attributes:
        millivolts: One row per lead; NaN where nothing was recorded.
        leads: Names (`I`, `aVR`, `V1`) of `schemas/ecg_leads.toml`, each once.
        sfreq_hz: Sampling rate.
        flags: What was seen or repaired on reading.
        bad: Leads without a usable signal: they are kept to be looked at, and count as missing.
    """

    millivolts: Float32[Array, "lead sample"]
    leads: tuple[str, ...]
    sfreq_hz: float
    flags: tuple[Flag, ...] = ()
    bad: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GazeRecording:
    """Where somebody looked, and how wide the pupil was: samples at their own times.

    Attributes:
        time_s: Ascending, the first is 0.
        x: Of the point of gaze, grows to the right; NaN where the tracker did not see the eye.
        y: The same, grows downward.
        pupil: Diameter; NaN where it was not seen.
        unit: Of x and y: `deg` of visual angle, `px` of the screen, or `norm` (0 to 1 across the screen).
        pupil_unit: `mm`, `au` (the tracker's own), or "" where none was recorded.
        sfreq_hz: From the usual step between samples.
        deg_per_unit: Degrees of visual angle per unit of x and of y in the middle of the screen; None where unknown.
        screen: Width and height in the unit of x and y, None where unknown; its corner is (0, 0).
        flags: What was seen or repaired on reading.
    """

    time_s: Float64[Array, " sample"]
    x: Float32[Array, " sample"]
    y: Float32[Array, " sample"]
    pupil: Float32[Array, " sample"]
    unit: str
    pupil_unit: str
    sfreq_hz: float
    deg_per_unit: tuple[float, float] | None = None
    screen: tuple[float, float] | None = None
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, slots=True)
class PatientRecord:
    """All facts of one patient known at a time: rows in long form (RECORD_COLUMNS), time ascending."""

    rows: pd.DataFrame
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, slots=True)
class NoteText:
    """The clinical notes that one piece of evidence stands for, as one text."""

    text: str
    kind: str = ""
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, slots=True)
class AudioRecording:
    """A recorded sound of the body, one channel.

    Attributes:
        wave: Sound pressure as the recorder kept it, in shares of full scale (-1 to 1): its unit is not known.
        sfreq_hz: Sampling rate.
        flags: What was seen on reading.
    """

    wave: Float32[Array, " sample"]
    sfreq_hz: float
    flags: tuple[Flag, ...] = ()


class Peers(ABC):
    """The samples of one matrix, to see what is unusual in one of them."""

    @property
    @abstractmethod
    def count(self) -> int:
        """How many."""

    @abstractmethod
    def typical(self) -> tuple[Float32[Array, " feature"], Float32[Array, " feature"]]:
        """Mean and standard deviation of each feature over all samples, on the scale of `comparable`."""


@dataclass(frozen=True, slots=True)
class OmicsSample:
    """One sample of an omics assay: one number for each of many features.

    Attributes:
        values: In the scale that the source declares; NaN where nothing was measured.
        features: Ids, each once.
        scale: `counts`, `rate`, `log` or `beta`, see `schemas/omics.toml`.
        ids: Kind of the ids, of the same table.
        peers: The samples of its matrix; None where it lies alone. For eyes only: no prep looks at it.
        flags: What was seen on reading.
    """

    values: Float32[Array, " feature"]
    features: tuple[str, ...]
    scale: str
    ids: str
    peers: Peers | None = None
    flags: tuple[Flag, ...] = ()


class Signal(Protocol):
    """Whatever a reader hands to prep: a row of the table of modalities may bring a class of its own."""

    @property
    def flags(self) -> tuple[Flag, ...]:
        """What was seen or repaired on reading."""
