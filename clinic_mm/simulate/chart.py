"""Write one case into a cohort folder, and say what is true of it.

In:  a `Case` and the folder. Out: image and EEG files on disk; FHIR resources and the truth as rows for the caller.

Layout: `dicom/<shard>/<opaque>/…` and `eeg/<shard>/<opaque>….edf`; no file name holds a patient id.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from clinic_mm.simulate import audio, ct, ecg, eeg, eye, note, omics, record, xray
from clinic_mm.simulate.case import LATE_VALUE, SHARD_CASES, Case

PLACES: Final = (
    *("ct_z_mm", "ct_y_mm", "ct_x_mm", "ct_radius_mm", "ct_folder"),
    *("xray_row", "xray_column", "xray_radius_px", "xray_file"),
    *("eeg_onsets_s", "eeg_file", "note_level"),
)
"""Columns of truth.csv that tell the oracle readers where to look; empty where nothing was acquired."""
PLACES_ADDED: Final = {
    "ecg": ("ecg_beats_s", "ecg_file"),
    "eye": ("eye_file",),
    "omics": ("omics_sample", "omics_file"),
    "audio": ("audio_onsets_s", "audio_file"),
}
"""The same for kinds that stand in the table only where a cohort has them."""


def places(modalities: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of a cohort's truth.csv that tell where to look."""
    return (*PLACES, *(column for m in modalities for column in PLACES_ADDED.get(m, ())))


@dataclass(slots=True)
class Chart:
    """What one case leaves beside its files.

    Attributes:
        fhir: Resources by type.
        truth: Where each finding lies, by column name.
        listed: Rows of the list of each folder whose files name no patient (see `cohort.LISTED`).
        shared: Lines of tables that all cases write to: by path the header and this case's lines.
    """

    fhir: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {"Patient": [], "Observation": [], "DocumentReference": []}
    )
    truth: dict[str, object] = field(default_factory=dict)
    listed: dict[str, list[dict[str, object]]] = field(default_factory=lambda: defaultdict(list))
    shared: dict[str, tuple[str, list[str]]] = field(default_factory=dict)

    def list_file(self, case: Case, path: Path, at: datetime) -> None:
        """Say whose a file is that does not say so itself; the first part of `path` is its folder."""
        row: dict[str, object] = {
            "file": path.relative_to(path.parts[0]).as_posix(),
            "patient_id": case.patient_id,
            "acquired_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        self.listed[path.parts[0]].append(row)

    def add_line(self, path: str, header: str, line: str) -> None:
        """Add to a table that all cases write to."""
        self.shared.setdefault(path, (header, []))[1].append(line)


def write_case(case: Case, out: Path) -> Chart:
    """Write the evidence of one case, and for a few a study after the decision time."""
    chart = Chart()
    for name in case.present:
        _write(case, out, chart, name, case.acquired[name], case.v[name], occasion="1")
    if case.late:
        seen = dict(chart.truth)
        late_value = LATE_VALUE if case.label else -LATE_VALUE
        _write(case, out, chart, case.late, case.late_at, late_value, occasion="2")
        chart.truth = seen  # the truth tells of the evidence that may be used
    if chart.fhir["Observation"]:
        chart.fhir["Patient"].append(record.patient(case))
    return chart


def _write(case: Case, out: Path, chart: Chart, name: str, at: datetime, v: float, *, occasion: str) -> None:
    rng = case.rng(name) if occasion == "1" else case.rng(name).spawn(1)[0]
    home = Path("dicom") / case.opaque[:2] / case.opaque
    if name == "ct":
        folder = home / f"S{occasion}" / "A"
        nodule = ct.write(case, out / folder, at, v, rng, occasion=occasion)
        chart.truth |= {"ct_z_mm": nodule.z_mm, "ct_y_mm": nodule.y_mm, "ct_x_mm": nodule.x_mm}
        chart.truth |= {"ct_radius_mm": nodule.radius_mm, "ct_folder": folder.as_posix()}
    elif name == "xray":
        path = home / f"R{occasion}"
        spot = xray.write(case, out / path, at, v, rng, occasion=occasion)
        chart.truth |= {"xray_row": spot.row, "xray_column": spot.column, "xray_radius_px": spot.radius_px}
        chart.truth |= {"xray_file": path.as_posix()}
    elif name == "eeg":
        path = Path("eeg") / case.opaque[:2] / f"{case.opaque}-{occasion}.edf"
        onsets = eeg.write(case, out / path, at, v, rng)
        chart.truth |= {"eeg_onsets_s": " ".join(f"{s:.6f}" for s in onsets), "eeg_file": path.as_posix()}
    elif name == "record":
        chart.fhir["Observation"] += record.observations(case, at, v, rng, occasion=occasion)
    elif name == "ecg":
        path = home / f"E{occasion}"
        beats = ecg.write(case, out / path, at, v, rng, occasion=occasion)
        chart.truth |= {"ecg_beats_s": " ".join(f"{s:.6f}" for s in beats), "ecg_file": path.as_posix()}
    elif name == "eye":
        path = Path("eye") / case.opaque[:2] / f"{case.opaque}-{occasion}.csv"
        eye.write(out / path, v, rng)
        chart.list_file(case, path, at)
        chart.truth |= {"eye_file": path.as_posix()}
    elif name == "omics":
        sample, table = f"{case.opaque}-{occasion}", f"omics/counts.{case.number // SHARD_CASES:03d}.csv"
        chart.add_line(table, omics.HEADER, omics.line(sample, v, rng))
        owner = f"{sample},{case.patient_id},{at.strftime('%Y-%m-%dT%H:%M:%SZ')}"
        chart.add_line("omics/samples.csv", omics.SAMPLE_COLUMNS, owner)
        chart.truth |= {"omics_sample": sample, "omics_file": table}
    elif name == "audio":
        path = Path("audio") / case.opaque[:2] / f"{case.opaque}-{occasion}.wav"
        heart = audio.write(out / path, v, rng)
        chart.list_file(case, path, at)
        chart.truth |= {"audio_onsets_s": " ".join(f"{s:.6f}" for s in heart.onsets_s)}
        chart.truth |= {"audio_file": path.as_posix()}
    elif name == "note":
        chart.fhir["DocumentReference"].append(note.document(case, at, v, rng, occasion=occasion))
        chart.truth |= {"note_level": note.level_of(v)}
