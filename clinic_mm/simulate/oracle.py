"""Readers that know where to look: how much of each latent can be got back from the written files.

In:  a cohort folder, a row of its truth.csv. Out: an estimate that rises with v, on no particular scale.

They read with pydicom, edfio and orjson directly and share nothing with clinic_mm.sources, so that a reader's bug
cannot cancel itself. No model may use them.
"""

import base64
import csv
import wave as wav_file
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from edfio import read_edf
from numpy import ndarray as Array
from pydicom import dcmread
from scipy.signal import butter, sosfiltfilt

from clinic_mm.simulate.audio import MURMUR_HZ, MURMUR_S
from clinic_mm.simulate.audio import SFREQ_HZ as AUDIO_HZ
from clinic_mm.simulate.ecg import SFREQ_HZ, ST_FIELD, plateau, wave
from clinic_mm.simulate.eeg import SPIKE_FIELD, complex_shape
from clinic_mm.simulate.eye import NOISE_DEG
from clinic_mm.simulate.eye import SFREQ_HZ as EYE_HZ
from clinic_mm.simulate.note import COMPLAINTS, GRADES
from clinic_mm.simulate.omics import genes
from clinic_mm.simulate.record import LABS
from clinic_mm.simulate.xray import Opacity, spot_cover

CORE: Final = 0.7
"""Share of the radius of a nodule that is read: its edge is blurred."""

NEAR: Final = 1.8
"""The background of an opacity is read within this many radii."""

LUNG_BELOW_HU: Final = -650.0


def ct(out: Path, row: Mapping[str, str]) -> float:
    """Mean HU of the nodule's core less that of the lung."""
    slices = sorted((dcmread(p) for p in (out / row["ct_folder"]).iterdir()), key=lambda ds: ds.ImagePositionPatient[2])
    first = slices[0]
    hu = np.stack([ds.pixel_array for ds in slices]) * float(first.RescaleSlope) + float(first.RescaleIntercept)
    z = np.array([float(ds.ImagePositionPatient[2]) for ds in slices])[:, None, None]
    y = (float(first.ImagePositionPatient[1]) + np.arange(first.Rows) * float(first.PixelSpacing[0]))[:, None]
    x = float(first.ImagePositionPatient[0]) + np.arange(first.Columns) * float(first.PixelSpacing[1])
    centre = (float(row[f"ct_{axis}_mm"]) for axis in "zyx")
    distance = np.sqrt(sum((a - c) ** 2 for a, c in zip((z, y, x), centre, strict=True)))
    radius = float(row["ct_radius_mm"])
    shell = hu[(distance > 1.5 * radius) & (distance < 2.2 * radius)]
    return float(hu[distance < CORE * radius].mean() - np.median(shell[shell < LUNG_BELOW_HU]))


def xray(out: Path, row: Mapping[str, str]) -> float:
    """Height of the known spot over a quadratic background, by least squares around the known place."""
    grey = dcmread(out / row["xray_file"]).pixel_array.astype(float)
    spot = Opacity(float(row["xray_row"]), float(row["xray_column"]), float(row["xray_radius_px"]))
    r, c = np.mgrid[: grey.shape[0], : grey.shape[1]]
    r, c = (r - spot.row) / spot.radius_px, (c - spot.column) / spot.radius_px
    near = np.hypot(r, c) < NEAR
    terms = [spot_cover(spot), np.ones_like(r), r, c, r**2, r * c, c**2]
    design = np.stack([term[near] for term in terms], axis=1)
    return float(np.linalg.lstsq(design, grey[near], rcond=None)[0][0])


def eeg(out: Path, row: Mapping[str, str]) -> float:
    """Amplitude of the known shape at the known times, by least squares over all channels but the blinking ones."""
    edf = read_edf(out / row["eeg_file"])
    uv = np.stack([signal.data for signal in edf.signals])
    shape = complex_shape() - complex_shape().mean()
    starts = [round(float(s) * edf.signals[0].sampling_frequency) for s in row["eeg_onsets_s"].split()]
    field = SPIKE_FIELD * (SPIKE_FIELD < 0.95) * (np.arange(len(SPIKE_FIELD)) > 6)
    amplitudes = [field @ uv[:, s : s + len(shape)] @ shape for s in starts]
    return float(np.median(amplitudes) / (shape @ shape) / (field @ field))


def ecg(out: Path, row: Mapping[str, str]) -> float:
    """Level of the known plateau after the known beats, by least squares beside T and a base of each lead."""
    group = dcmread(out / row["ecg_file"]).WaveformSequence[0]
    stored = np.frombuffer(group.WaveformData, "<i2").reshape(group.NumberOfWaveformSamples, -1)
    uv = stored.T[[0, 1, *range(6, 12)]] * float(group.ChannelDefinitionSequence[0].ChannelSensitivity)
    seconds = np.arange(round(0.04 * SFREQ_HZ), round(0.42 * SFREQ_HZ)) / SFREQ_HZ
    starts = [round((float(s) + 0.04) * SFREQ_HZ) for s in row["ecg_beats_s"].split()]
    beat = np.mean([uv[:, s : s + len(seconds)] for s in starts], axis=0)
    terms = [plateau(seconds), wave(seconds, "t"), wave(seconds, "s"), np.ones_like(seconds), seconds]
    levels = np.linalg.lstsq(np.stack(terms, axis=1), beat.T, rcond=None)[0][0]
    return float(ST_FIELD @ levels / (ST_FIELD @ ST_FIELD))


def eye(out: Path, row: Mapping[str, str]) -> float:
    """Mean time between jumps, as seconds: the eye jumps where it moves further in one step than noise lets it."""
    with (out / row["eye_file"]).open(encoding="utf-8", newline="") as file:
        cells = [(float(r["x_deg"] or "nan"), float(r["y_deg"] or "nan")) for r in csv.DictReader(file)]
    xy = np.array(cells)
    seen = np.isfinite(xy[:, 0])
    at = np.arange(len(xy))
    xy = np.stack([np.interp(at, at[seen], xy[seen, axis]) for axis in (0, 1)])
    moving = np.hypot(*np.diff(xy)) > 6 * NOISE_DEG
    begins = np.flatnonzero(moving[1:] & ~moving[:-1])
    return float((begins[-1] - begins[0]) / max(1, len(begins) - 1) / EYE_HZ)


@cache
def _matrix(path: Path) -> dict[str, Array]:
    with path.open(encoding="utf-8") as file:
        next(file)
        cells = (line.split(",") for line in file)
        return {row[0]: np.array(row[1:], float) for row in cells}


def omics(out: Path, row: Mapping[str, str]) -> float:
    """Mean log share of the genes that rise less that of the genes that fall."""
    counts = _matrix(out / row["omics_file"])[row["omics_sample"]]
    told = genes()
    log_share = np.log1p(counts) - told.level
    return float(log_share[told.per_v > 0].mean() - log_share[told.per_v < 0].mean())


def audio(out: Path, row: Mapping[str, str]) -> float:
    """Loudness of the murmur at the known times, over that of the pause after it, in heights of the first sound."""
    with wav_file.open(str(out / row["audio_file"])) as file:
        x = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32767
    band = sosfiltfilt(butter(4, MURMUR_HZ, "bandpass", fs=AUDIO_HZ, output="sos"), x)
    found = []
    for onset in map(float, row["audio_onsets_s"].split()):
        at = [round((onset + s) * AUDIO_HZ) for s in (0.0, 0.08, *MURMUR_S, 0.46, 0.54)]
        murmur, pause = band[at[2] : at[3]], band[at[4] : at[5]]
        found.append([np.abs(x[at[0] : at[1]]).max(), (murmur**2).mean(), (pause**2).mean()])
    height, murmur_power, pause_power = np.median(found, axis=0)
    return float(np.sqrt(max(murmur_power - pause_power, 0.0)) / height)


def record(observations: Iterable[Mapping[str, Any]]) -> float:
    """Mean of all carriers, each standardised and turned the right way; NaN where all cells are missing."""
    labs = {lab.loinc: lab for lab in LABS if lab.sign}
    found = [(labs.get(o["code"]["coding"][0]["code"]), o["valueQuantity"]["value"]) for o in observations]
    values = [lab.sign * (value - lab.middle) / lab.spread for lab, value in found if lab]
    return float(np.mean(values)) if values else float("nan")


def note(document: Mapping[str, Any]) -> int:
    """Sum of the grades: the level."""
    text = base64.b64decode(document["content"][0]["attachment"]["data"]).decode()
    level = 0
    for sentence in text.split("."):
        words = sentence.split()
        if words and words[-1] in COMPLAINTS:
            level += next(grade for grade, names in enumerate(GRADES) if words[-2] in names)
    return level


def resources(out: Path, kind: str, until: Mapping[str, datetime]) -> dict[str, list[dict[str, Any]]]:
    """Resources of one type by patient id, those after the patient's decision time left out."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted((out / "fhir").glob(f"{kind}.*.ndjson")):
        for line in path.read_bytes().splitlines():
            resource = orjson.loads(line)
            patient = resource["subject"]["reference"].removeprefix("Patient/")
            at = datetime.fromisoformat(resource.get("effectiveDateTime") or resource["date"])
            if at <= until[patient]:
                found.setdefault(patient, []).append(resource)
    return found
