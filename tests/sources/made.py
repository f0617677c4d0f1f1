"""Tiny DICOM files for laws: only what the law needs, every element can be replaced or removed (None)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
CR_IMAGE = "1.2.840.10008.5.1.4.1.1.1"


def write_dicom(path: Path, stored: np.ndarray, syntax: str = ExplicitVRLittleEndian, **elements: object) -> Path:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    bits = stored.dtype.itemsize * 8
    values = {
        "SOPInstanceUID": generate_uid(),
        "PatientID": "P1",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.4",
        "StudyDate": "20240102",
        "StudyTime": "101500",
        "Rows": stored.shape[0],
        "Columns": stored.shape[1],
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(stored.dtype.kind == "i"),
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        **elements,
    }
    for keyword, value in values.items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset.PixelData = stored.astype(stored.dtype.newbyteorder("<")).tobytes()
    dataset["PixelData"].VR = "OW"
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_series(folder: Path, volume: np.ndarray, names: Sequence[str] = (), **elements: object) -> list[Path]:
    """Axial slices of a volume [slice, row, column], 3 mm apart, in supine position."""
    paths = []
    for number, stored in enumerate(volume):
        own = {
            "SOPClassUID": CT_IMAGE,
            "Modality": "CT",
            "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
            "InstanceNumber": number + 1,
            "ImagePositionPatient": [-10.0, -20.0, 3.0 * number],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "PixelSpacing": [2.0, 1.0],
            "SliceThickness": 3.0,
            "RescaleSlope": 1,
            "RescaleIntercept": -1024,
            **{key: value(number) if callable(value) else value for key, value in elements.items()},
        }
        name = names[number] if names else f"{number:03d}.dcm"
        paths.append(write_dicom(folder / name, stored, **own))
    return paths


def write_radiograph(path: Path, stored: np.ndarray, **elements: object) -> Path:
    return write_dicom(path, stored, **{"SOPClassUID": CR_IMAGE, "Modality": "CR", **elements})


def body(slices: int = 6, rows: int = 8, columns: int = 10) -> np.ndarray:
    """Stored values with air, water and bone, different everywhere."""
    rng = np.random.default_rng(7)
    return rng.integers(0, 2500, (slices, rows, columns)).astype(np.uint16)
