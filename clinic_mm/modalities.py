"""THE table of modalities: one row each, from file to viewer. Further rows come by entry point `clinic_mm.modalities`.

A row names its parts by dotted path, so that reading the table imports neither torch nor MONAI nor MNE.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final

from clinic_mm.errors import TaskError


@dataclass(frozen=True, slots=True)
class Modality:
    """One kind of evidence.

    Attributes:
        name: As in task files and patterns.
        label: As a clinician reads it.
        load: `module:function(files, *, locator, until) -> Signal`, the decoder.
        prep: `module:Class`, signal to tensors and plain summaries (see `prep.base.Prep`).
        encoder: `module:Class`, tensors to tokens (see `encoders.base.Encoder`).
        unit: What the numbers of its signal are in.
        cost: Relative burden of acquiring it (money, time, dose), chest X-ray = 1.
        find: `module:function(root, root_name, files, zone, **options) -> Iterable[Found]`, what ingest makes of its
            files; "" where they are of a kind that several modalities share (DICOM, FHIR).
        suffixes: Endings of its files, lower case: `(".wav",)`. Only with `find`.
        shares: Kinds of file, as `sources.walk` tells them, in which it may stand among others: `("dicom",)`.
        viewer: `module:function(signal, key)`, its tile in the dashboard (Streamlit); "" for none. A viewer with a
            parameter `at` is told the decision time, one with `evidence` which piece it shows. One with `address` in
            place of the signal is told where the dashboard serves it, and nothing is decoded for it.
    """

    name: str
    label: str
    load: str
    prep: str
    encoder: str
    unit: str
    cost: float
    find: str = ""
    suffixes: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()
    viewer: str = ""


def _built_in(name: str, label: str, reader: str, unit: str, cost: float) -> Modality:
    kind = name.capitalize()
    return Modality(
        name=name,
        label=label,
        load=f"clinic_mm.sources.{reader}:load",
        prep=f"clinic_mm.prep.{name}:{kind}Prep",
        encoder=f"clinic_mm.encoders.{name}:{kind}Encoder",
        unit=unit,
        cost=cost,
        viewer=f"components.{name}:view_{name}",
    )


BUILT_IN: Final = (
    _built_in("ct", "CT", "ct.volume", "HU", 8.0),
    _built_in("xray", "Chest X-ray", "xray.image", "grey", 1.0),
    _built_in("eeg", "EEG", "eeg.recording", "V", 5.0),
    _built_in("record", "Patient record", "record.patient", "", 0.5),
    _built_in("note", "Clinical note", "record.notes", "", 0.2),
    replace(
        _built_in("omics", "Omics", "omics.sample", "", 3.0),
        find="clinic_mm.sources.omics.sample:find_omics",
        suffixes=(".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet"),
    ),
    replace(
        _built_in("audio", "Body sound", "audio.wav", "full scale", 0.3),
        find="clinic_mm.sources.audio.wav:find_audio",
        suffixes=(".wav", ".wave"),
    ),
    replace(
        _built_in("ecg", "ECG", "ecg.recording", "mV", 0.3),
        find="clinic_mm.sources.ecg.recording:find_ecg",
        suffixes=(".hea", ".csv", ".csv.gz", ".tsv", ".parquet"),
        shares=("dicom", "eeg"),
    ),
    replace(
        _built_in("eye", "Eye tracking", "eye.recording", "deg", 1.0),
        find="clinic_mm.sources.eye.recording:find_gaze",
        suffixes=(".csv", ".csv.gz", ".tsv", ".parquet"),
    ),
)


@cache
def table() -> Mapping[str, Modality]:
    """All modalities by name: the built-in rows and those that installed packages add."""
    added = (point.load() for point in entry_points(group="clinic_mm.modalities"))
    return {row.name: row for row in (*BUILT_IN, *added)}


def modality(name: str) -> Modality:
    """One row of the table.

    Raises:
        TaskError: For an unknown name, with the list and the nearest name.
    """
    rows = table()
    if name in rows:
        return rows[name]
    near = get_close_matches(name, rows, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise TaskError(f"Unknown modality {name!r}", "modalities", f"{hint}Known: {', '.join(rows)}")


def label(name: str) -> str:
    """A row as a clinician reads it; the name itself where no row has it, as where several modalities share a kind."""
    row = table().get(name)
    return row.label if row else name


def finder_of(name: str) -> str:
    """What finds the files of a row, by dotted path; "" where no row has that name, or it shares a kind of file."""
    row = table().get(name)
    return row.find if row else ""


def resolve(dotted: str) -> Any:  # noqa: ANN401  - a part of a row may be any class or function
    """The object that a row names as `module:attribute`."""
    module, _, attribute = dotted.partition(":")
    return getattr(import_module(module), attribute)
