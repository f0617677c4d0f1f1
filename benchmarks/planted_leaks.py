"""Plant leaks in the files of a SIMULATED cohort: what `clinic-mm check` has to find.

In:  a folder that `clinic-mm simulate` wrote. Out: the same folder, changed. Only for simulated files.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pydicom
from edfio import read_edf

EDF_PATIENT = slice(8, 88)
LATER = pd.Timedelta(days=37)
Line = dict[str, Any]


def second_keys(folder: Path, patients: Sequence[str]) -> None:
    """Each of these patients once more under another key, 37 days later: X-ray, CT, EEG, record, note and label."""
    new = {old: f"{old}-again" for old in patients}
    for path in _dicom_of(folder, patients):
        header = pydicom.dcmread(path)
        header.PatientID = new[str(header.PatientID)]
        for name in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
            setattr(header, name, f"{getattr(header, name)}.9"[:64])
        header.save_as(path.with_name(f"{path.name}_again"))
    for path in _edf_of(folder, patients):
        content = path.read_bytes()
        old = content[EDF_PATIENT].decode("ascii")
        who = old.split()[0]
        field = old.replace(who, new[who], 1).strip().ljust(80)[:80].encode("ascii")
        made = content[: EDF_PATIENT.start] + field + content[EDF_PATIENT.stop :]
        path.with_name(f"{path.stem}again-1.edf").write_bytes(made)
    _lines_again(folder, new)
    labels = pd.read_csv(folder / "labels.csv", dtype=str)
    again = labels[labels["patient_id"].isin(new)].copy()
    again["patient_id"] = again["patient_id"].map(new)
    again["decision_time"] = [(pd.Timestamp(t) + LATER).isoformat() for t in again["decision_time"]]
    pd.concat([labels, again]).to_csv(folder / "labels.csv", index=False)


def altered_xrays(folder: Path, pairs: Mapping[str, str]) -> None:
    """The X-ray of each first patient in the place of the second's: less contrast, with noise."""
    by = {str(pydicom.dcmread(p, stop_before_pixels=True).PatientID): p for p in _dicom(folder) if p.name == "R1"}
    rng = np.random.default_rng(0)
    for first, second in pairs.items():
        header, taken = pydicom.dcmread(by[second]), pydicom.dcmread(by[first]).pixel_array.astype(float)
        changed = 0.85 * taken + 0.05 * taken.max() + rng.normal(0, 0.02 * taken.std(), taken.shape)
        kind = header.pixel_array.dtype
        header.PixelData = np.clip(changed, 0, np.iinfo(kind).max).astype(kind).tobytes()
        header.Rows, header.Columns = taken.shape
        header.save_as(by[second])


def altered_eegs(folder: Path, pairs: Mapping[str, str]) -> None:
    """The samples of each first patient's EEG in the second's file, a little weaker and with noise."""
    by = {p.read_bytes()[EDF_PATIENT].decode("ascii").split()[0]: p for p in _edf(folder)}
    rng = np.random.default_rng(0)
    for first, second in pairs.items():
        taken, into = read_edf(by[first]), read_edf(by[second])
        for signal in taken.signals:
            signal.update_data(0.9 * signal.data + rng.normal(0, 0.03 * signal.data.std(), len(signal.data)))
        taken.patient, taken.startdate, taken.starttime = into.patient, into.startdate, into.starttime
        taken.write(by[second])


def shifted_records(folder: Path, pairs: Mapping[str, str]) -> None:
    """The results of each first patient in the place of the second's, on other days."""
    back = {second: first for first, second in pairs.items()}
    taken: dict[str, list[Line]] = {first: [] for first in pairs}
    _each_line(folder, lambda line: taken[w].append(line) if (w := _whose(line)) in taken and _result(line) else None)
    gone: set[str] = set()

    def change(line: Line) -> list[Line]:
        who = _whose(line)
        if who not in back or not _result(line):
            return [line]
        if who in gone:
            return []
        gone.add(who)
        moved = pd.Timestamp(line["effectiveDateTime"])
        known = [one for one in taken[back[who]] if "effectiveDateTime" in one]
        first = max(pd.Timestamp(one["effectiveDateTime"]) for one in known)
        return [_moved(one, who, moved - first, f"{who}-p{i}") for i, one in enumerate(known)]

    _rewrite(folder, change)


def scaled_results(folder: Path) -> int:
    """The most common laboratory result, standardised over all patients; returns how many values."""
    found: dict[str, list[float]] = {}
    _each_line(folder, lambda line: found.setdefault(_code(line), []).append(_value(line)) if _number(line) else None)
    code, values = max(found.items(), key=lambda one: len(one[1]))
    mean, spread = float(np.mean(values)), float(np.std(values))

    def change(line: Line) -> list[Line]:
        if not _number(line) or _code(line) != code:
            return [line]
        return [{**line, "valueQuantity": {**line["valueQuantity"], "value": (_value(line) - mean) / spread}}]

    _rewrite(folder, change)
    return len(values)


def _number(line: Line) -> bool:
    return _result(line) and "value" in line.get("valueQuantity", {})


def _value(line: Line) -> float:
    return float(line["valueQuantity"]["value"])


def _code(line: Line) -> str:
    return str(line["code"]["coding"][0]["code"])


def _moved(line: Line, who: str, by: pd.Timedelta, name: str) -> Line:
    moment = (pd.Timestamp(line["effectiveDateTime"]) + by).isoformat()
    return {**line, "id": name, "subject": {"reference": f"Patient/{who}"}, "effectiveDateTime": moment}


def _result(line: Line) -> bool:
    return line["resourceType"] == "Observation"


def _whose(line: Line) -> str:
    if line["resourceType"] == "Patient":
        return str(line["id"])
    return str(line.get("subject", {}).get("reference", "")).removeprefix("Patient/")


def _lines_again(folder: Path, new: Mapping[str, str]) -> None:
    def change(line: Line) -> list[Line]:
        who = _whose(line)
        if who not in new:
            return [line]
        text = orjson.dumps(line).decode().replace(who, new[who])
        again: Line = orjson.loads(text)
        for field in ("effectiveDateTime", "date", "issued"):
            if field in again:
                again[field] = (pd.Timestamp(again[field]) + LATER).isoformat()
        return [line, again]

    _rewrite(folder, change)


def _rewrite(folder: Path, change: Callable[[Line], list[Line]]) -> None:
    for path in sorted((folder / "fhir").glob("*.ndjson")):
        made = [orjson.dumps(one) for line in path.read_bytes().splitlines() for one in change(orjson.loads(line))]
        path.write_bytes(b"\n".join(made) + b"\n")


def _each_line(folder: Path, see: Callable[[Line], object]) -> None:
    for path in sorted((folder / "fhir").glob("*.ndjson")):
        for line in path.read_bytes().splitlines():
            see(orjson.loads(line))


def _dicom(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "dicom").rglob("*") if path.is_file())


def _dicom_of(folder: Path, patients: Sequence[str]) -> list[Path]:
    return [p for p in _dicom(folder) if str(pydicom.dcmread(p, stop_before_pixels=True).PatientID) in patients]


def _edf(folder: Path) -> list[Path]:
    return sorted((folder / "eeg").rglob("*.edf"))


def _edf_of(folder: Path, patients: Sequence[str]) -> list[Path]:
    return [p for p in _edf(folder) if p.read_bytes()[EDF_PATIENT].decode("ascii").split()[0] in patients]
