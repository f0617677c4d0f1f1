"""One made ECG of ten seconds, written in every format that is read."""

from pathlib import Path

import edfio
import numpy as np
import pandas as pd
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, generate_uid

from clinic_mm.sources.ecg.leads import lead_table

LEADS = lead_table().leads
SFREQ_HZ = 250
NUMBERS = {"I": 1, "II": 2, "III": 61, "aVR": 62, "aVL": 63, "aVF": 64, **{f"V{k}": k + 2 for k in range(1, 7)}}


def heart(seconds: float = 10.0, seed: int = 0) -> np.ndarray:
    """Millivolts [12, sample] whose limb leads fit together."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * SFREQ_HZ)) / SFREQ_HZ
    near = (t - 0.4) % 0.8
    beats = np.exp(-(((near - 0.4) / 0.012) ** 2) / 2) + 0.2 * np.exp(-(((near - 0.65) / 0.04) ** 2) / 2)
    eight = np.outer([0.7, 1.0, -0.8, -0.6, 0.3, 1.1, 1.3, 0.9], beats) + 0.01 * rng.standard_normal((8, len(t)))
    one, two = eight[:2]
    return np.stack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2, *eight[2:]])


def write_dicom(
    path: Path, mv: np.ndarray, leads: tuple[str, ...] = LEADS, *, big: bool = False, **group: object
) -> Path:
    """A 12-lead ECG waveform file; elements of its group can be replaced or removed (None)."""
    item = Dataset()
    item.WaveformOriginality = "ORIGINAL"
    item.NumberOfWaveformChannels, item.NumberOfWaveformSamples = mv.shape
    item.SamplingFrequency = SFREQ_HZ
    item.WaveformBitsAllocated, item.WaveformSampleInterpretation = 16, "SS"
    item.ChannelDefinitionSequence = Sequence([_channel(lead) for lead in leads])
    item.WaveformData = np.rint(mv.T * 400).astype(">i2" if big else "<i2").tobytes()
    item["WaveformData"].VR = "OW"
    for name, value in group.items():
        if value is None:
            del item[name]
        else:
            setattr(item, name, value)
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian if big else ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.9.1.1", generate_uid()
    ds.Modality, ds.PatientID, ds.AcquisitionDateTime = "ECG", "P7", "20240102101500"
    ds.WaveformSequence = Sequence([item])
    ds.save_as(path, enforce_file_format=True, little_endian=not big, implicit_vr=False)
    return path


def _channel(lead: str) -> Dataset:
    channel = Dataset()
    channel.ChannelSourceSequence = Sequence([_code(f"2:{NUMBERS.get(lead, 99)}", "MDC", lead)])
    channel.ChannelSensitivity, channel.ChannelSensitivityCorrectionFactor, channel.ChannelBaseline = 2.5, 1, 0
    channel.ChannelSensitivityUnitsSequence = Sequence([_code("uV", "UCUM", "microvolt")])
    channel.WaveformBitsStored = 16
    return channel


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def write_edf(path: Path, mv: np.ndarray, labels: tuple[str, ...] = LEADS, unit: str = "mV") -> Path:
    signals = [
        edfio.EdfSignal(row, SFREQ_HZ, label=f"ECG {label}", physical_dimension=unit, physical_range=(-5, 5))
        for row, label in zip(mv, labels, strict=True)
    ]
    edfio.Edf(signals, patient=edfio.Patient(code="case_7")).write(path)
    return path


def write_wfdb(
    path: Path, mv: np.ndarray, kind: int, labels: tuple[str, ...] = LEADS, checksum: int | None = None
) -> Path:
    """A WFDB record of one file, written by a plain loop over the bits."""
    gain = 400 if kind == 212 else 1000
    stored = np.rint(mv.T * gain).astype(np.int64)
    data = bytearray()
    flat = stored.ravel().tolist()
    if kind == 212:
        for a, b in zip(flat[::2], [*flat[1::2], *([0] if len(flat) % 2 else [])], strict=True):
            data += bytes([a & 0xFF, (a >> 8 & 0x0F) | (b >> 8 & 0x0F) << 4, b & 0xFF])
        data = data[: -(-len(flat) * 3 // 2)]
    else:
        for value in flat:
            data += (value % 2**kind).to_bytes(kind // 8, "little")
    path.with_suffix(".dat").write_bytes(bytes(data))
    lines = [f"{path.stem} {len(labels)} {SFREQ_HZ} {len(stored)} 10:15:00 02/01/2024"]
    for column, label in enumerate(labels):
        total = int(stored[:, column].sum()) % 2**16 if checksum is None else checksum
        lines.append(f"{path.stem}.dat {kind} {gain}/mV 16 0 {stored[0, column]} {total} 0 {label}")
    path.write_text("\n".join([*lines, "# a comment"]) + "\n")
    return path


def write_table(path: Path, mv: np.ndarray, leads: tuple[str, ...] = LEADS) -> Path:
    frame = pd.DataFrame({"time_ms": np.arange(mv.shape[1]) * 1000 / SFREQ_HZ})
    for lead, row in zip(leads, mv, strict=True):
        frame[f"{lead}_mV"] = row
    frame.to_csv(path, index=False)
    return path
