"""A tiny folder of evidence as a hospital might hand it over, written file by file for tests."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pydicom
from edfio import Edf, EdfSignal, Patient, Recording
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

DAY0 = datetime(2024, 1, 1, 12, tzinfo=UTC)


def day(number: float) -> datetime:
    return DAY0 + timedelta(days=number)


def write_ct(folder: Path, patient: str, at: datetime, *, slices: int = 4, skip: int | None = None) -> None:
    """An axial series of 16 × 16 with air and water; `skip` leaves out one slice."""
    folder.mkdir(parents=True, exist_ok=True)
    series = f"1.2.3.{sum(map(ord, str(folder)))}"
    for number in range(slices):
        if number == skip:
            continue
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, UID(f"{series}.{number + 1}")
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.PatientID, data.PatientName, data.Modality = patient, "Secret^Name", "CT"
        data.StudyInstanceUID, data.SeriesInstanceUID, data.InstanceNumber = "1.2.3", series, number + 1
        data.AcquisitionDate, data.AcquisitionTime = f"{at:%Y%m%d}", f"{at:%H%M%S}"
        data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        data.ImagePositionPatient, data.ImageOrientationPatient = [0, 0, 2.5 * number], [1, 0, 0, 0, 1, 0]
        data.PixelSpacing, data.SliceThickness = [1, 1], 2.5
        data.RescaleSlope, data.RescaleIntercept, data.RescaleType = 1, -1024, "HU"
        data.Rows = data.Columns = 16
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
        pixels = np.full((16, 16), 24, dtype="<u2")
        pixels[4:12, 4:12] = 1024
        data.PixelData = pixels.tobytes()
        pydicom.dcmwrite(folder / f"{number}.dcm", data, enforce_file_format=True)


def write_eeg(path: Path, patient: str, at: datetime) -> None:
    """Four seconds of four channels of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).normal(0, 2e1, (4, 4 * 128))
    signals = [
        EdfSignal(row, 128, label=label, physical_dimension="uV", physical_range=(-200, 200))
        for row, label in zip(noise, ("Fp1", "Fp2", "O1", "O2"), strict=True)
    ]
    who = Patient(code=patient, name="Secret_Name")
    Edf(signals, patient=who, recording=Recording(startdate=at.date()), starttime=at.time()).write(path)


def observation(patient: str, at: datetime, value: float, number: int) -> dict[str, object]:
    return {
        "resourceType": "Observation",
        "id": f"{patient}-{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7", "display": "Hemoglobin"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": at.isoformat(),
        "issued": at.isoformat(),
        "valueQuantity": {"value": value, "unit": "g/dL", "code": "g/dL", "system": "http://unitsofmeasure.org"},
    }


def write_fhir(path: Path, resources: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in resources), encoding="utf-8")


def patient(name: str) -> dict[str, object]:
    return {"resourceType": "Patient", "id": name, "gender": "female", "birthDate": "1950-02-03"}


def write_hospital(root: Path) -> Path:
    """Three patients: A has all in time, B's CT comes after its decision and lacks a slice in another series, C none.

    Returns:
        The ingest file.
    """
    write_ct(root / "files/a", "A", day(0))
    write_ct(root / "files/b", "B", day(5))
    write_ct(root / "files/gap", "B", day(0), slices=9, skip=2)
    write_eeg(root / "files/a.edf", "A", day(0.5))
    rows = [patient("A"), patient("B"), patient("C")]
    rows += [observation("A", day(-1), 9.5, 1), observation("A", day(9), 5.5, 2), observation("B", day(9), 7.0, 3)]
    write_fhir(root / "files/all.ndjson", rows)
    (root / "files/odd.bin").write_bytes(b"\x00\x01\x02\x03" * 9)
    (root / "files/empty.dcm").write_bytes(b"")
    lines = ["patient_id,decision_time,label,sex"]
    lines += [f"{name},{day(1):%Y-%m-%dT%H:%M:%S}Z,{label},f" for name, label in (("A", 1), ("B", 0), ("C", ""))]
    (root / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    spec = '[[source]]\nname = "files"\npath = "files"\n[labels]\npath = "labels.csv"\n'
    (root / "cohort.toml").write_text(spec, encoding="utf-8")
    return root / "cohort.toml"
